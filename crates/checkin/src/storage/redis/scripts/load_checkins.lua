-- Appends check-ins under the ids that they have, or where the log is past it, under an id of its
-- own with the time beside it.
--
-- KEYS: the log, the set of what was imported behind later entries.
-- ARGV: the number of partitions, which one this is, and for each check-in its id, time, user,
-- location and stars.
-- Answers for each: 1 stored, 0 was there.

local partitions, partition = tonumber(ARGV[1]), tonumber(ARGV[2])

local function last()
  if redis.call('EXISTS', KEYS[1]) == 0 then return 0, 0 end
  local stream = redis.call('XINFO', 'STREAM', KEYS[1])
  for at = 1, #stream, 2 do
    if stream[at] == 'last-generated-id' then
      local ms, seq = string.match(stream[at + 1], '^(%d+)-(%d+)$')
      return tonumber(ms), tonumber(seq)
    end
  end
end

local answers = {}
local last_ms, last_seq = last()

local function append(id, ms, seq, at, ...)
  redis.call('XADD', KEYS[1], id, 'userId', ARGV[at + 2], 'locationId', ARGV[at + 3], 'starRating', ARGV[at + 4], ...)
  last_ms, last_seq = ms, seq
end

for at = 3, #ARGV, 5 do
  local id, time = ARGV[at], ARGV[at + 1]
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  ms, seq = tonumber(ms), tonumber(seq)
  local past = ms < last_ms or (ms == last_ms and seq <= last_seq)
  if not past and tonumber(time) == ms then
    append(id, ms, seq, at)
    answers[#answers + 1] = 1
  elseif past and #redis.call('XRANGE', KEYS[1], id, id) > 0 then
    answers[#answers + 1] = 0
  else
    local content = table.concat({time, ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]}, ' ')
    if redis.call('SADD', KEYS[2], content) == 0 then
      answers[#answers + 1] = 0
    else
      local now = redis.call('TIME')
      -- Nothing is appended before it was made.
      ms = math.max(now[1] * 1000 + math.floor(now[2] / 1000), tonumber(time))
      seq = -1
      if last_ms >= ms then ms, seq = last_ms, last_seq end
      seq = (math.floor(seq / partitions) + 1) * partitions + partition
      append(string.format('%.0f-%.0f', ms, seq), ms, seq, at, 'time', time)
      answers[#answers + 1] = 1
    end
  end
end
return answers
