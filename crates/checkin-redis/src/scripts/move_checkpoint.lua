-- Moves a checkpoint to the end of an applied batch, and stores its dead letters. Returns 0 if the
-- checkpoint is not at the beginning of the batch, because another processor has moved it.
--
-- KEYS: the checkpoint, the dead letters, the index of times, the log, the retracted check-ins.
-- ARGV: the ids at the beginning and end of the batch, the number of its entries, the number of these
-- whose time is not that of their id, for each of these the time and the member of the index, and for each dead
-- letter its id, reason and fields.

local checkpoint = redis.call('HMGET', KEYS[1], 'id', 'passed-id')
if (checkpoint[1] or '0-0') ~= ARGV[1] then return 0 end
-- Entries that were retracted after the batch was read are not in the log any more.
local count, from, to = ARGV[3], string.match(ARGV[1], '^%d+'), string.match(ARGV[2], '^%d+')
if redis.call('ZCOUNT', KEYS[5], from, to) > 0 then
  count = #redis.call('XRANGE', KEYS[4], '(' .. ARGV[1], ARGV[2])
end
local letters = 5 + ARGV[4] * 2
for at = 5, letters - 1, 2 do
  redis.call('ZADD', KEYS[3], 'NX', ARGV[at], ARGV[at + 1])
end
for at = letters, #ARGV, 3 do
  local user = string.match(ARGV[at + 2], '"userId":"(%d+)"') or ''
  if not redis.call('ZSCORE', KEYS[5], ARGV[at] .. ' ' .. user) then
    -- Returns an error if a log that is applied again has the letter already.
    redis.pcall('XADD', KEYS[2], ARGV[at], 'reason', ARGV[at + 1], 'fields', ARGV[at + 2])
  end
end
redis.call('HSET', KEYS[1], 'id', ARGV[2])
redis.call('HINCRBY', KEYS[1], 'counted', count)
if checkpoint[2] == ARGV[1] then
  redis.call('HINCRBY', KEYS[1], 'passed', count)
  redis.call('HSET', KEYS[1], 'passed-id', ARGV[2])
end
return 1
