-- Starts a session's time again, within its longest life. Answers 1 when there is a session, else 0.
--
-- KEYS: the session, its time of creation. ARGV: the time to live, the longest life; in milliseconds.
local ttl = tonumber(ARGV[1])
local created = tonumber(redis.call('GET', KEYS[2]))
if created then
    local time = redis.call('TIME')
    local life_left = created + ARGV[2] - time[1] * 1000 - math.floor(time[2] / 1000)
    ttl = math.min(ttl, life_left)
end
return redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ttl))
