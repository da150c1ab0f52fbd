-- Acquires or renews the lease of the list of searches, unless the list is empty. Returns the first accounts
-- and their numbers, or false if another owner has the lease.
--
-- KEYS: the list, the lease. ARGV: the owner, the lifetime of the lease in ms, the number of accounts.

local owner = redis.call('GET', KEYS[2])
if owner and owner ~= ARGV[1] then return false end
local due = redis.call('ZRANGE', KEYS[1], 0, ARGV[3] - 1, 'WITHSCORES')
if #due > 0 then redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2]) end
return due
