-- Removes a member of a sorted set, unless its score has changed. KEYS: the sorted set. ARGV: the
-- member, its score.

local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and tonumber(score) == tonumber(ARGV[2]) then redis.call('ZREM', KEYS[1], ARGV[1]) end
