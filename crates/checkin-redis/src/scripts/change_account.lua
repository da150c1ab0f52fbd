-- Changes the status or the role of an account, and ends its sessions. Returns the new epoch, or false if
-- nothing changes: the account is deleted, or it has this value already.
--
-- KEYS: those of `still_admits`. ARGV: those of `still_admits`, the number of the key to change, its new value, and
-- the value of an account that has none.

if redis.call('GET', KEYS[4]) == 'deleted' then return false end
local changed = KEYS[tonumber(ARGV[4])]
if (redis.call('GET', changed) or ARGV[6]) == ARGV[5] then return false end
redis.call('SET', changed, ARGV[5])
return raise('')
