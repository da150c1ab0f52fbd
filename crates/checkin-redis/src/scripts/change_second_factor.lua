-- Replaces the second factor of an account, increases the account's epoch and keeps the session that asks. Returns the
-- new epoch, or false if the account does not exist, what asks is not valid any more, or the second factor is not the
-- expected one.
--
-- KEYS: the user's hash, the epoch, the session that is kept, the status, the role, the second factor. ARGV: what asks
-- (`still_admits`), the expected second factor and the new one; an empty text is none.

if redis.call('EXISTS', KEYS[1]) == 0 or not still_admits() then return false end
if (redis.call('GET', KEYS[6]) or '') ~= ARGV[3] then return false end
if ARGV[4] == '' then redis.call('DEL', KEYS[6]) else redis.call('SET', KEYS[6], ARGV[4]) end
return raise(ARGV[2])
