-- Settles a claim whose user is written. KEYS and the first two of ARGV as in claim_email.
-- Returns 1, or the user who has the address by now, because a fail-over lost the claim.

local owner = redis.call('HGET', KEYS[1], ARGV[1])
if owner == ARGV[2] then
  redis.call('DEL', KEYS[2])
  return 1
end
if not owner then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  return 1
end
return owner
