-- Creates the hash of a user, and never changes one. If another program deleted the hash of an earlier user
-- with this id, its epoch is not lowered. Returns 1, 0 if there is a user with this id, or false if it is too late.
--
-- KEYS: the user's hash, the epoch, the session that is kept, the status, the role. ARGV: the time of this server (ms)
-- until which the user may be created, the first epoch, and the names and values of the fields.

if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local time = redis.call('TIME')
if time[1] * 1000 + math.floor(time[2] / 1000) > tonumber(ARGV[1]) then return false end
if tonumber(redis.call('GET', KEYS[2]) or '0') < tonumber(ARGV[2]) then
  redis.call('SET', KEYS[2], ARGV[2])
end
redis.call('DEL', KEYS[3], KEYS[4], KEYS[5])
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
return 1
