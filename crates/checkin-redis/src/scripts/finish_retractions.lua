-- Removes retractions that are applied, and keeps them until their lists are settled once more.
--
-- KEYS: the retractions, and the applied ones by the time (ms) from which they are due. ARGV: the time (ms) until
-- then, and the retractions.

local time = redis.call('TIME')
local due = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1])
local words = {}
for at = 2, #ARGV do
  words[#words + 1], words[#words + 2] = due, ARGV[at]
end
redis.call('ZADD', KEYS[2], unpack(words))
redis.call('ZREM', KEYS[1], unpack(ARGV, 2))
return 1
