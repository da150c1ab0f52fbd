-- Makes a session unless there is one or its id is barred, and with a longest life notes when.
-- Answers 1 when it did, else 0.
--
-- KEYS: the session, the bar of an ended one, its time of creation, its epoch. ARGV: the value, its
-- time to live, how long the note of its creation is kept if one is needed, its epoch if it has one;
-- times in milliseconds, and what is not there is empty.
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
