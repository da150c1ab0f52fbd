-- A session that is neither barred nor too old, with what is left of its time, in milliseconds
-- (-1: no end), and its epoch. A session that another program made counts from now.
--
-- KEYS: the session, its bar, its time of creation, its epoch. ARGV: its longest life, how long the note of its
-- creation is kept, how long it is barred when that is over; all in milliseconds.
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
