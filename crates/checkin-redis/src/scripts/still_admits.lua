-- The beginning of each change that raises the epoch of an account. Returns false if the account does not exist, or if
-- what asks for the change is not valid any more, as `Standing::still_admits` decides. An administrator asks without an
-- epoch. Returns the number of the last search for sessions of the account, as a text, if it is not below that of the
-- change: that search may have read the account already, and removes it from the list.
--
-- KEYS: the user's hash, the epoch, the session that is kept, the status, the role, the second factor, the number of
-- the last search that has begun. ARGV: the epoch and the handle of what asks, each of which may be empty, and the number of
-- the search for this change.

local function still_admits()
  if ARGV[1] == '' then return true end
  if (redis.call('GET', KEYS[4]) or 'active') ~= 'active' then return false end
  if (redis.call('GET', KEYS[2]) or '0') == ARGV[1] then return true end
  return ARGV[2] ~= '' and redis.call('GET', KEYS[3]) == ARGV[2]
end

-- Increases the epoch, keeps no session but the one with this handle, and returns the epoch.
local function raise(handle)
  if handle == '' then redis.call('DEL', KEYS[3]) else redis.call('SET', KEYS[3], handle) end
  return redis.call('INCR', KEYS[2])
end

if redis.call('EXISTS', KEYS[1]) == 0 or not still_admits() then return false end
local searched = redis.call('GET', KEYS[7])
if searched and tonumber(searched) >= tonumber(ARGV[3]) then return searched end

