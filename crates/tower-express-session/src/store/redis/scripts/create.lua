-- Makes a session unless there is one, and notes when. Answers 1 when it did, else 0.
--
-- KEYS: the session, its time of creation. ARGV: the value, its time to live, how long the note is
-- kept; times in milliseconds.
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('SET', KEYS[2], string.format('%.0f', now), 'PX', ARGV[3])
return 1
