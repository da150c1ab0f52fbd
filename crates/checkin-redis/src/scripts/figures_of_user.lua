-- The figures of a user and the data from which they are computed, in one step.
--
-- KEYS: the hash, the history, the base.

local figures = redis.call('HMGET', KEYS[1], 'numCheckins', 'lastCheckin')
local base = redis.call('HMGET', KEYS[3], 'numCheckins', 'lastCheckin')
local latest = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local function number(text) return string.format('%.0f', tonumber(text or '') or 0) end
return {number(figures[1]), number(figures[2]), number(base[1]), number(base[2]),
  number(redis.call('ZCARD', KEYS[2])), number(latest[2])}
