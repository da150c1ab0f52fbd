-- Erases the personal data of an account that is deleted. Returns 1, or 0 if it is not deleted.
--
-- The number of the last search goes, too: a change that is still late finds the account deleted, or raises an epoch of
-- which there are no sessions.
--
-- KEYS: the user's hash, the epoch, the session that is kept, the status, the role, the second factor,
-- the comments, the audience, the mark of a new account, the number of the last search that has begun, and the keys of
-- private check-ins. ARGV: the names and values of the fields that remain.

if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('GET', KEYS[4]) ~= 'deleted' then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
redis.call('DEL', KEYS[3], unpack(KEYS, 5))
return 1
