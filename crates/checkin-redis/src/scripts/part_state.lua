-- Measures a partition of the log.
--
-- KEYS: the log, its checkpoint, its dead letters.
-- Returns, as texts: the length of the log, the number of entries that were applied, the number of these
-- that left the log, the number of dead letters, now (ms), the id and the field `time` of the oldest entry
-- that is not applied, each empty if there is none, and the number of entries that were removed before they
-- were applied.

local now = redis.call('TIME')
local checkpoint = redis.call('HMGET', KEYS[2], 'id', 'counted', 'trimmed', 'lost')
local id, oldest, time = checkpoint[1] or '0-0', '', ''
-- No entry can be after this one, and Redis refuses such a range.
if id ~= '18446744073709551615-18446744073709551615' then
  local entry = redis.call('XRANGE', KEYS[1], '(' .. id, '+', 'COUNT', 1)[1]
  if entry then
    oldest = entry[1]
    for at = #entry[2] - 1, 1, -2 do
      if entry[2][at] == 'time' then time = entry[2][at + 1] end
    end
  end
end
return {
  tostring(redis.call('XLEN', KEYS[1])), checkpoint[2] or '0', checkpoint[3] or '0',
  tostring(redis.call('XLEN', KEYS[3])), string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000)),
  oldest, time, checkpoint[4] or '0'
}
