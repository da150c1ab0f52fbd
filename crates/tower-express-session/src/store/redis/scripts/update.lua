-- Replaces a session's value if it is still the bytes that the writer read. Returns 1 if it was
-- replaced, 0 if the session has ended, and otherwise the current bytes.
--
-- KEYS: the session, its tombstone, its time of creation, its epoch. ARGV: the bytes read, the new ones, the
-- time to live and, if there is one, the absolute timeout, in milliseconds.
if redis.call('EXISTS', KEYS[2]) == 1 then
    redis.call('DEL', KEYS[1])
    return 0
end
local current = redis.call('GET', KEYS[1])
if not current then return 0 end
local ttl = tonumber(ARGV[3])
local created = ARGV[4] and tonumber(redis.call('GET', KEYS[3]))
if created then
    local time = redis.call('TIME')
    local life_left = created + ARGV[4] - time[1] * 1000 - math.floor(time[2] / 1000)
    if life_left <= 0 then return 0 end
    ttl = math.min(ttl, life_left)
end
if current ~= ARGV[1] then return current end
ttl = string.format('%.0f', ttl)
redis.call('SET', KEYS[1], ARGV[2], 'PX', ttl)
redis.call('PEXPIRE', KEYS[4], ttl)
return 1
