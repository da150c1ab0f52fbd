-- Gives out an id that no place has. KEYS: the ids of all places. ARGV: the lowest that it may be.

local last = redis.call('ZREVRANGE', KEYS[1], 0, 0)[1]
local id = string.format('%.0f', math.max(tonumber(last or '0') + 1, tonumber(ARGV[1])))
redis.call('ZADD', KEYS[1], id, id)
return id
