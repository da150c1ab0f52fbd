-- Restarts a session's time to live, within its absolute timeout. Returns 1 if the session exists,
-- otherwise 0. A value that was written back after the session ended is deleted again.
--
-- KEYS: the session, its tombstone, its time of creation, its epoch. ARGV: the time to live and, if there is
-- one, the absolute timeout, in milliseconds.
if redis.call('EXISTS', KEYS[2]) == 1 then
    redis.call('DEL', KEYS[1])
    return 0
end
local ttl = tonumber(ARGV[1])
local created = ARGV[2] and tonumber(redis.call('GET', KEYS[3]))
if created then
    local time = redis.call('TIME')
    local life_left = created + ARGV[2] - time[1] * 1000 - math.floor(time[2] / 1000)
    if life_left <= 0 then return 0 end
    ttl = math.min(ttl, life_left)
end
ttl = string.format('%.0f', ttl)
redis.call('PEXPIRE', KEYS[4], ttl)
return redis.call('PEXPIRE', KEYS[1], ttl)
