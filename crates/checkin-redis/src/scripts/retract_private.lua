-- Removes a private check-in with its comment, and marks it, so that no import brings it back.
--
-- KEYS: the private history, the comments, the retracted private check-ins, the last check-ins.
-- ARGV: the id, the time, and the location and the stars.
-- Returns 1, or 0 if it is not there.

local id, time, visit = unpack(ARGV)
local member = id .. ' ' .. visit
if not redis.call('ZSCORE', KEYS[1], member) then return 0 end
redis.call('ZADD', KEYS[3], time, id)
redis.call('HDEL', KEYS[2], id)
if redis.call('HGET', KEYS[4], visit) == time then redis.call('HDEL', KEYS[4], visit) end
redis.call('ZREM', KEYS[1], member)
return 1
