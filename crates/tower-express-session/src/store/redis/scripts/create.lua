-- Creates a session unless its id is taken or has a tombstone. With an absolute timeout it also
-- stores the time of creation. Returns 1 if the session was created, otherwise 0.
--
-- KEYS: the session, its tombstone, its time of creation, its epoch. ARGV: the value, the time to live, how
-- long the time of creation is kept, the epoch. Times are in milliseconds; the last two may be empty.
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
if ARGV[3] ~= '' then
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    redis.call('SET', KEYS[3], string.format('%.0f', now), 'PX', ARGV[3])
end
if ARGV[4] ~= '' then
    redis.call('SET', KEYS[4], ARGV[4], 'PX', ARGV[2])
else
    redis.call('DEL', KEYS[4])
end
return 1
