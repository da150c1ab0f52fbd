-- Removes searches that are done from their list, unless their account has another number by now, and releases the
-- lease. A master that was replaced may have given the number to another account.
--
-- KEYS: the list, the lease. ARGV: the owner; the account and the number of each search.

for at = 2, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[1], ARGV[at]) == ARGV[at + 1] then redis.call('ZREM', KEYS[1], ARGV[at]) end
end
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 1
