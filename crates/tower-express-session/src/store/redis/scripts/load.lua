-- Returns a session, the rest of its time to live, and its epoch, unless it has a tombstone or has
-- reached its absolute timeout. A session that another program created counts as created now.
--
-- KEYS: the session, its tombstone, its time of creation, its epoch. ARGV: the absolute timeout, how long the
-- time of creation is kept, how long a tombstone is kept after the absolute timeout; all in milliseconds.
local value = redis.call('GET', KEYS[1])
if not value then return false end
if redis.call('EXISTS', KEYS[2]) == 1 then
    redis.call('DEL', KEYS[1])
    return false
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local created = tonumber(redis.call('GET', KEYS[3]))
if not created then
    created = now
    redis.call('SET', KEYS[3], string.format('%.0f', now), 'PX', ARGV[2])
end
local life_left = created + ARGV[1] - now
if life_left <= 0 then
    redis.call('DEL', KEYS[1], KEYS[3], KEYS[4])
    redis.call('SET', KEYS[2], '1', 'PX', ARGV[3])
    return false
end
local left = redis.call('PTTL', KEYS[1])
if left < 0 or left > life_left then left = life_left end
return { value, left, redis.call('GET', KEYS[4]) }
