-- Appends check-ins in their order, each unless it is a retry or a duplicate, or the log is too long:
-- one step, one round trip for all that wait at the same time.
--
-- KEYS: the log, its checkpoint, its index of times, and of each check-in in turn the marker of an
-- identical check-in, if there is a duplicate window, and the key of its first check-in, if it has an
-- idempotency key.
-- ARGV: duplicate window in ms, time to live of an idempotency key in ms, the maximum backlog, the
-- maximum length of the log, the number of partitions and of this partition, and of each check-in its
-- user, location and stars, and 1 if it has an idempotency key, or 0.
--
-- Returns a result for each check-in. If one fails and is not the first, returns the results of those
-- before it: it and the later ones are not appended, and can be sent again. If the first one fails, its
-- error is that of the script, and none is appended.

-- Maximum number of entries that are removed from the index of times when they leave the log.
local AT_ONCE = 1000

local log, checkpoint, times = KEYS[1], KEYS[2], KEYS[3]
local window = tonumber(ARGV[1])
local max_backlog, max_length = tonumber(ARGV[3]), tonumber(ARGV[4])
local partitions, partition = tonumber(ARGV[5]), tonumber(ARGV[6])

local now = now_ms()
local length = redis.call('XLEN', log)
local figures = redis.call('HMGET', checkpoint, 'counted', 'trimmed')
-- Applied entries in the log. Other programs may have trimmed it, too.
local counted = tonumber(figures[1] or '0') - tonumber(figures[2] or '0')
local last_ms, last_seq = last_id(log)

local function trim(gone)
  if redis.call('EXISTS', times) == 1 then
    local members = {}
    for _, entry in ipairs(redis.call('XRANGE', log, '-', '+', 'COUNT', math.min(gone, AT_ONCE))) do
      members[#members + 1] = member(string.match(entry[1], '^(%d+)-(%d+)$'))
    end
    if #members > 0 then redis.call('ZREM', times, unpack(members)) end
  end
  local trimmed = redis.call('XTRIM', log, 'MAXLEN', '=', length - gone)
  redis.call('HINCRBY', checkpoint, 'trimmed', trimmed)
  length, counted = length - trimmed, counted - trimmed
end

local function append(user, location, stars, recent, key)
  local checkin = user .. ' ' .. location .. ' ' .. stars
  if key then
    local remembered = redis.call('GET', key)
    if remembered then
      local first, id = string.match(remembered, '^(.*) (%S+)$')
      if first == checkin then return 'replayed ' .. id end
      return 'reused'
    end
  end

  -- The marker holds the time of the check-in, and not only a time to live, because windows may differ.
  if recent then
    local last = tonumber(redis.call('GET', recent) or '')
    if last and tonumber(now) - last < window then return 'duplicate' end
  end

  if length - counted >= max_backlog then return 'behind' end
  if length >= max_length then
    local over = math.min(length - max_length + 1, counted)
    if over <= 0 or length - over >= max_length then return 'behind' end
    trim(over)
  end

  local ms, seq = next_id(now, last_ms, last_seq, partitions, partition)
  if not ms then return 'used up' end
  local id = ms .. '-' .. seq
  if less(now, ms) then
    -- Another program wrote an entry with an id that it chose, or the clock was set back.
    redis.call('XADD', log, id,
      'userId', user, 'locationId', location, 'starRating', stars, 'time', now)
    redis.call('ZADD', times, now, member(ms, seq))
  else
    redis.call('XADD', log, id, 'userId', user, 'locationId', location, 'starRating', stars)
  end
  length, last_ms, last_seq = length + 1, ms, seq
  if recent then
    redis.call('SET', recent, now, 'PX', ARGV[1])
  end
  if key then
    redis.call('SET', key, checkin .. ' ' .. id, 'PX', ARGV[2])
  end
  return 'stored ' .. id
end

local results, key_at = {}, 4
for at = 7, #ARGV, 4 do
  local recent, key
  if window > 0 then recent, key_at = KEYS[key_at], key_at + 1 end
  if ARGV[at + 3] == '1' then key, key_at = KEYS[key_at], key_at + 1 end
  if at == 7 then
    results[1] = append(ARGV[at], ARGV[at + 1], ARGV[at + 2], recent, key)
  else
    local is_fine, result = pcall(append, ARGV[at], ARGV[at + 1], ARGV[at + 2], recent, key)
    if not is_fine then return results end
    results[#results + 1] = result
  end
end
return results
