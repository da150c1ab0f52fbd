-- Replaces a password that is still the expected one. KEYS: the user's hash. ARGV: expected, new.

if redis.call('HGET', KEYS[1], 'password') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'password', ARGV[2])
return 1
