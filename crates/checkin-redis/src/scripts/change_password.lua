-- Replaces a password, increases the account's epoch and keeps no session. Returns the new epoch, or false if the
-- account does not exist or is deleted, or what asks is not valid any more.
--
-- KEYS: the user's hash, the epoch, the session that is kept, the status. ARGV: what asks (`still_admits`), the new
-- password.

if redis.call('EXISTS', KEYS[1]) == 0 or not still_admits() then return false end
if redis.call('GET', KEYS[4]) == 'deleted' then return false end
redis.call('HSET', KEYS[1], 'password', ARGV[3])
return raise('')
