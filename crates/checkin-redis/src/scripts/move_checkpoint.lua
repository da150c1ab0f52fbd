-- Moves a checkpoint to the end of an applied batch, and stores its dead letters. Returns 0 if the
-- checkpoint is not at the beginning of the batch, because another processor has moved it.
--
-- KEYS: the checkpoint, the dead letters, the index of times.
-- ARGV: the ids at the beginning and end of the batch, the number of its entries, the number of these
-- whose time is not that of their id, for each of these the time and the member of the index, and for each dead
-- letter its id, reason and fields.

local checkpoint = redis.call('HMGET', KEYS[1], 'id', 'passed-id')
if (checkpoint[1] or '0-0') ~= ARGV[1] then return 0 end
local letters = 5 + ARGV[4] * 2
for at = 5, letters - 1, 2 do
  redis.call('ZADD', KEYS[3], 'NX', ARGV[at], ARGV[at + 1])
end
for at = letters, #ARGV, 3 do
  -- Returns an error if a log that is applied again has the letter already.
  redis.pcall('XADD', KEYS[2], ARGV[at], 'reason', ARGV[at + 1], 'fields', ARGV[at + 2])
end
redis.call('HSET', KEYS[1], 'id', ARGV[2])
redis.call('HINCRBY', KEYS[1], 'counted', ARGV[3])
if checkpoint[2] == ARGV[1] then
  redis.call('HINCRBY', KEYS[1], 'passed', ARGV[3])
  redis.call('HSET', KEYS[1], 'passed-id', ARGV[2])
end
return 1
