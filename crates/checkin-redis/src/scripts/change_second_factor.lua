-- Replaces the second factor of an account, increases the account's epoch and keeps the session that asks. Returns the
-- new epoch, or false if the second factor is not the expected one.
--
-- KEYS: those of `still_admits`. ARGV: those of `still_admits`, the expected second factor and the new one; an empty
-- text is none.

if (redis.call('GET', KEYS[6]) or '') ~= ARGV[4] then return false end
if ARGV[5] == '' then redis.call('DEL', KEYS[6]) else redis.call('SET', KEYS[6], ARGV[5]) end
return raise(ARGV[2])
