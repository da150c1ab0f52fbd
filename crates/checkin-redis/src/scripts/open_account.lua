-- Creates the hash of a user, and never changes one. If another program deleted the hash of an earlier user
-- with this id, its epoch is not lowered.
--
-- KEYS: the user's hash, the epoch, the session that is kept, the status, the role. ARGV: the first epoch, and
-- the names and values of the fields.

if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if tonumber(redis.call('GET', KEYS[2]) or '0') < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[2], ARGV[1])
end
redis.call('DEL', KEYS[3], KEYS[4], KEYS[5])
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
return 1
