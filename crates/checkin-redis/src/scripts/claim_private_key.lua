-- Claims an idempotency key for private check-ins, so that none that is not private gets it. Returns 1, or 0 if
-- a check-in that is not private came with it.
--
-- KEYS: the two hashes of idempotency keys, and the key in which older versions keep it.
-- ARGV: the digest, and the time to live of an idempotency key in ms.

-- It is the text of no check-in. An empty value is that of a check-in that could not be appended.
local CLAIM = 'private'

for hash = 1, 2 do
  local found = redis.call('HGET', KEYS[hash], ARGV[1])
  if found == CLAIM then return 1 end
  if found and found ~= '' then return 0 end
end
local old = redis.call('GET', KEYS[3])
if old and old ~= '' then return 0 end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local turn, life_of_hash = key_turn(ARGV[1], now, tonumber(ARGV[2]))
local hash = KEYS[1 + turn]
local is_new = redis.call('PTTL', hash) < 0
-- The first time, it only shows that it is permitted: otherwise the hash would never expire.
if is_new then redis.call('PEXPIRE', hash, life_of_hash) end
redis.call('HSET', hash, ARGV[1], CLAIM)
if is_new then redis.call('PEXPIRE', hash, life_of_hash) end
return 1
