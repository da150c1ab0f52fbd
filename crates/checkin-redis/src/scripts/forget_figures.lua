-- Removes the figures of a user who has no check-in any more. Returns 1, or 0 if there are some.
--
-- KEYS: the hash, the history, the base.

if redis.call('EXISTS', KEYS[2]) == 1 or redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'numCheckins', '0')
redis.call('HDEL', KEYS[1], 'lastCheckin', 'lastSeenAt')
redis.call('DEL', KEYS[3])
return 1
