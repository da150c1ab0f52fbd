-- Assigns to a venue the id of a location that will be created for it, unless it has one.
--
-- KEYS: the locations of venues, the highest assigned id, the ids that a second import found.
-- ARGV: the venue, the lowest id that it may get, and an id whose location this import did not write. If a
-- second import found that id, that import may have written the location; otherwise another program has.
-- Returns the id, and 1 if it was assigned now; `used up` if no id is left.

local id = redis.call('HGET', KEYS[1], ARGV[1])
if id and id ~= ARGV[3] then redis.call('SADD', KEYS[3], id) end
if id and redis.call('SISMEMBER', KEYS[3], id) == 1 then return {id, 0} end
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
id = math.max(last + 1, tonumber(ARGV[2]))
if id > 9007199254740991 then return {'used up', 0} end
id = string.format('%.0f', id)
redis.call('SET', KEYS[2], id)
redis.call('HSET', KEYS[1], ARGV[1], id)
return {id, 1}
