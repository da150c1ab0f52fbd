-- Replaces a password. Returns the account's epoch, or false if the password or the epoch is not the expected
-- one, or the account does not exist or is not active.
--
-- KEYS: the user's hash, the epoch, the session that is kept, the status. ARGV: the new password, 1 to increase
-- the epoch and keep no session, the expected password, and the expected epoch. Without the password, any one is
-- replaced, also that of a disabled account; without the epoch, it may be any.

local status = redis.call('GET', KEYS[4]) or 'active'
if status == 'deleted' or (ARGV[3] and status ~= 'active') then return false end
local stored = redis.call('HGET', KEYS[1], 'password')
if ARGV[3] and stored ~= ARGV[3] then return false end
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local epoch = tonumber(redis.call('GET', KEYS[2]) or '0')
if ARGV[4] and epoch ~= tonumber(ARGV[4]) then return false end
if ARGV[2] == '1' then
  epoch = redis.call('INCR', KEYS[2])
  redis.call('DEL', KEYS[3])
end
redis.call('HSET', KEYS[1], 'password', ARGV[1])
return epoch
