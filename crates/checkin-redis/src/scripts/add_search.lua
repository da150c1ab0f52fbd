-- Adds an account to the list of searches, or gives it a new number. Returns the number.
--
-- KEYS: the list, the last number. ARGV: the account.

local number = redis.call('INCR', KEYS[2])
redis.call('ZADD', KEYS[1], number, ARGV[1])
return number
