-- Claims an address for a user before the user is written.
--
-- KEYS: the index of addresses, and the marker of a claim that is not settled.
-- ARGV: address, id, a user who is known not to have the address (or empty), lifetime of the marker.
-- Returns 1, or the user who has the address and whether that claim is settled (1) or not (0).
--
-- Only a settled claim can be stale: before that, its user may be about to be written.

if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 0 then
  local owner = redis.call('HGET', KEYS[1], ARGV[1])
  if owner ~= ARGV[2] then
    local settled = 1 - redis.call('EXISTS', KEYS[2])
    if settled == 0 or owner ~= ARGV[3] then return {owner, settled} end
    redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  end
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[4])
return 1
