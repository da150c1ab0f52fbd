-- Registers or renews a live processor, and removes those whose time is over, by the clock of Redis.
--
-- KEYS: the live processors. ARGV: the name, the lifetime in ms. Returns the names of all that are live.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('ZRANGE', KEYS[1], 0, -1)
