-- Increases the epoch of an account. Returns the new epoch, or false if the account does not exist, or the
-- session that is to be kept is not valid any more.
--
-- KEYS: the user's hash, the epoch, the session that is kept, the status. ARGV: the handle of the session to keep
-- and its epoch, which may be empty; without them, no session is kept.

if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local epoch = tonumber(redis.call('GET', KEYS[2]) or '0')
if ARGV[1] then
  local outdated = ARGV[2] ~= '' and tonumber(ARGV[2]) < epoch
  if outdated and redis.call('GET', KEYS[3]) ~= ARGV[1] then return false end
  if (redis.call('GET', KEYS[4]) or 'active') ~= 'active' then return false end
end
epoch = redis.call('INCR', KEYS[2])
if ARGV[1] then redis.call('SET', KEYS[3], ARGV[1]) else redis.call('DEL', KEYS[3]) end
return epoch
