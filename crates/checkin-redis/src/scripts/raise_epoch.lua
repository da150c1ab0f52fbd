-- Increases the epoch of an account. Returns the new epoch, or false if the account does not exist, or what asks is
-- not valid any more.
--
-- KEYS: the user's hash, the epoch, the session that is kept, the status. ARGV: what asks (`still_admits`); its
-- session is kept.

if redis.call('EXISTS', KEYS[1]) == 0 or not still_admits() then return false end
return raise(ARGV[2])
