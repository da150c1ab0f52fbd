-- Returns whether what asks for a change of an account is still valid, as `Standing::still_admits` decides. An
-- administrator asks without an epoch.
--
-- KEYS: the user's hash, the epoch, the session that is kept, the status. ARGV: the epoch and the handle of what
-- asks, each of which may be empty.

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

