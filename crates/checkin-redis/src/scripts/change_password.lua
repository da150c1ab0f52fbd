-- Replaces a password, increases the account's epoch and keeps no session. Returns the new epoch, or false if the
-- account is deleted.
--
-- KEYS: those of `still_admits`. ARGV: those of `still_admits`, the new password.

if redis.call('GET', KEYS[4]) == 'deleted' then return false end
redis.call('HSET', KEYS[1], 'password', ARGV[4])
return raise('')
