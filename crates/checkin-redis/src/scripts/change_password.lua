-- Replaces a password, increases the account's epoch and keeps no session. Returns the new epoch, or false if the
-- account does not exist or is deleted. With an expected epoch, also false if the epoch is another one or the
-- account is not active.
--
-- KEYS: the user's hash, the epoch, the session that is kept, the status. ARGV: the new password, the expected epoch.

local status = redis.call('GET', KEYS[4]) or 'active'
if status == 'deleted' or redis.call('EXISTS', KEYS[1]) == 0 then return false end
if ARGV[2] then
  local epoch = tonumber(redis.call('GET', KEYS[2]) or '0')
  if status ~= 'active' or epoch ~= tonumber(ARGV[2]) then return false end
end
redis.call('DEL', KEYS[3])
redis.call('HSET', KEYS[1], 'password', ARGV[1])
return redis.call('INCR', KEYS[2])
