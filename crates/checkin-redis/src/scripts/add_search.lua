-- Adds an account to the list of searches, or gives it a new number. Returns the number.
--
-- A master that was replaced may have given higher numbers, which this one does not know.
--
-- KEYS: the list, the last number. ARGV: the account, a number that the new one must be above.

local number = redis.call('INCR', KEYS[2])
if number <= tonumber(ARGV[2]) then
  number = tonumber(ARGV[2]) + 1
  redis.call('SET', KEYS[2], number)
end
redis.call('ZADD', KEYS[1], number, ARGV[1])
return number
