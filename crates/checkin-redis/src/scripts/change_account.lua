-- Changes the status or the role of an account, and ends its sessions. Returns the new epoch, or false if
-- nothing changes: the account does not exist, it is deleted, it has this value already, or what asks is not valid
-- any more.
--
-- KEYS: the user's hash, the epoch, the session that is kept, the status, the role. ARGV: what asks
-- (`still_admits`), the number of the key to change, its new value, and the value of an account that has none.

if redis.call('EXISTS', KEYS[1]) == 0 or not still_admits() then return false end
if redis.call('GET', KEYS[4]) == 'deleted' then return false end
local changed = KEYS[tonumber(ARGV[3])]
if (redis.call('GET', changed) or ARGV[5]) == ARGV[4] then return false end
redis.call('SET', changed, ARGV[4])
return raise('')
