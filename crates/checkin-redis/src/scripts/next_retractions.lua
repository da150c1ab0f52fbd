-- Returns 1 and the first retractions that wait to be applied. If there are none, returns 0 and the first applied
-- ones whose lists are due to be settled once more.
--
-- KEYS: the retractions, and the applied ones by the time (ms) from which they are due. ARGV: the maximum number.

local waiting = redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1)
if #waiting > 0 then return {1, waiting} end
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
return {0, redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[1])}
