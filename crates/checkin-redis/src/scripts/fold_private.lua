-- Removes old private check-ins with their comments, and the marks of those that were retracted. They are in no
-- figure.
--
-- KEYS: the private history, the comments, the retracted private check-ins.
-- ARGV: the time (ms) before which they are old, the maximum number.
-- Returns how many were removed.

local before = '(' .. ARGV[1]
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', before)
local old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', before, 'LIMIT', 0, ARGV[2])
for _, member in ipairs(old) do
  redis.call('HDEL', KEYS[2], string.match(member, '^%S+'))
  redis.call('ZREM', KEYS[1], member)
end
return #old
