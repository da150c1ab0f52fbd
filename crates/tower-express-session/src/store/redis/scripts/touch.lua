-- Starts a session's time again, within its longest life. Answers 1 when there is a session, else 0.
-- One that was written back after its end is none, and is deleted again.
--
-- KEYS: the session, the bar of an ended one, its time of creation, its epoch. ARGV: the time to live, and the
-- longest life if there is one; in milliseconds.
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
