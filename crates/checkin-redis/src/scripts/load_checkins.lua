-- Appends check-ins with the ids that they have. If the log has a later entry already, the check-in
-- gets a new id, and its time is stored in a field.
--
-- KEYS: the log, the set of check-ins that were imported behind later entries, the index of times, the retracted
-- check-ins. Of a retracted one, the set has the time and the user.
-- ARGV: the number of partitions, the number of this one, the member of the index that marks it as
-- complete, and for each check-in its id, time, user, location, stars, and its comment or nothing.
-- Returns for each: 1 if it was stored, 0 if it was already there, or was until it was retracted.

local partitions, partition = tonumber(ARGV[1]), tonumber(ARGV[2])
local answers = {}
local last_ms, last_seq = last_id(KEYS[1])

-- Before the first import there is nothing to index.
if redis.call('EXISTS', KEYS[2]) == 0 then redis.call('ZADD', KEYS[3], 'NX', -1, ARGV[3]) end

local function append(ms, seq, at, ...)
  local more, comment = {...}, ARGV[at + 5]
  if comment ~= '' then more[#more + 1], more[#more + 2] = 'comment', comment end
  redis.call('XADD', KEYS[1], ms .. '-' .. seq,
    'userId', ARGV[at + 2], 'locationId', ARGV[at + 3], 'starRating', ARGV[at + 4], unpack(more))
  last_ms, last_seq = ms, seq
end

local function was_retracted(at)
  return redis.call('ZSCORE', KEYS[4], ARGV[at] .. ' ' .. ARGV[at + 2])
    or redis.call('SISMEMBER', KEYS[2], ARGV[at + 1] .. ' ' .. ARGV[at + 2]) == 1
end

for at = 4, #ARGV, 6 do
  local id, time = ARGV[at], ARGV[at + 1]
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  local past = less(ms, last_ms) or (ms == last_ms and not less(last_seq, seq))
  if not past and time == ms then
    append(ms, seq, at)
    answers[#answers + 1] = 1
  elseif past and #redis.call('XRANGE', KEYS[1], id, id) > 0 or was_retracted(at) then
    answers[#answers + 1] = 0
  else
    local content = table.concat({time, ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]}, ' ')
    if redis.call('SADD', KEYS[2], content) == 0 then
      answers[#answers + 1] = 0
    else
      -- The id of an entry is not before its time.
      local first = now_ms()
      if less(first, time) then first = time end
      ms, seq = next_id(first, last_ms, last_seq, partitions, partition)
      if not ms then return redis.error_reply('ERR the ids of the log are used up; see `checkin doctor`') end
      append(ms, seq, at, 'time', time)
      redis.call('ZADD', KEYS[3], time, member(ms, seq))
      answers[#answers + 1] = 1
    end
  end
end
return answers
