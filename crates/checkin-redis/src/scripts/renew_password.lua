-- Replaces the hash of a password by another one of the same password. Returns 1, or 0 if the stored hash is not the
-- expected one or the account is not active.
--
-- KEYS: the user's hash, the status. ARGV: the new hash, the expected one.

local status = redis.call('GET', KEYS[2]) or 'active'
if status ~= 'active' or redis.call('HGET', KEYS[1], 'password') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'password', ARGV[1])
return 1
