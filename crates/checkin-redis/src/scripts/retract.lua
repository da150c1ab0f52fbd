-- Retracts a check-in: removes its entry from the log, and stores the retraction, which the histories and figures
-- follow. Does nothing if it is retracted already.
--
-- KEYS: the log, its checkpoint, its retractions, the retracted check-ins, the dead letters, the index of times,
-- the check-ins that were imported behind later entries, the marker of an identical check-in.
-- ARGV: the id, the user, the retraction, the time, the member of the index, and the content of an imported
-- check-in.
--
-- Redis keeps what a script wrote before it failed, and finds a missing permission only when it comes to the
-- command. So what was written before the entry is removed is taken back.

local call = redis.call
local log, checkpoint, retractions, retracted, dead, times, imported, recent = unpack(KEYS)
local id, user, retraction, time, indexed, content = unpack(ARGV)
local ms, seq = string.match(id, '^(%d+)-(%d+)$')
local mark = id .. ' ' .. user
if call('ZSCORE', retracted, mark) then return 0 end

-- An entry that is not applied is passed over now, and does not wait.
local figures = call('HMGET', checkpoint, 'id', 'passed-id')
local last_ms, last_seq = string.match(figures[1] or '0-0', '^(%d+)-(%d+)$')
local is_applied = less(ms, last_ms) or (ms == last_ms and not less(last_seq, seq))
local figure = is_applied and 'trimmed' or figures[2] and 'passed'

local has_counted = false
local function remove()
  call('ZADD', retractions, ms, retraction)
  call('ZADD', retracted, ms, mark)
  if #call('XRANGE', log, id, id) == 0 then return end
  if figure then
    call('HINCRBY', checkpoint, figure, 1)
    has_counted = true
  end
  call('XDEL', log, id)
end

local is_fine, result = pcall(remove)
if not is_fine then
  if has_counted then redis.pcall('HINCRBY', checkpoint, figure, -1) end
  redis.pcall('ZREM', retracted, mark)
  redis.pcall('ZREM', retractions, retraction)
  -- Redis 6.2 has no code in front of some errors.
  return {err = string.match(result, '^%u+ .*') or 'ERR ' .. result}
end

redis.pcall('XDEL', dead, id)
if time ~= ms then redis.pcall('ZREM', times, indexed) end
if redis.pcall('EXISTS', imported) == 1 and redis.pcall('SREM', imported, content) == 1 then
  redis.pcall('SADD', imported, time .. ' ' .. user)
end
if redis.pcall('GET', recent) == time then redis.pcall('DEL', recent) end
return 1
