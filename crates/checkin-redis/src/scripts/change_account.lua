-- Changes the status or the role of an account, and ends its sessions. Returns the new epoch, or false if
-- nothing changes: the account does not exist, it is deleted, or it has this value already.
--
-- KEYS: the user's hash, the epoch, the session that is kept, the status, the role. ARGV: the number of the key
-- to change, its new value, and the value of an account that has none.

if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('GET', KEYS[4]) == 'deleted' then return false end
local changed = KEYS[tonumber(ARGV[1])]
if (redis.call('GET', changed) or ARGV[3]) == ARGV[2] then return false end
redis.call('SET', changed, ARGV[2])
redis.call('DEL', KEYS[3])
return redis.call('INCR', KEYS[2])
