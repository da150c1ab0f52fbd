-- Acquires or renews the lease of a partition. Returns its checkpoint, or false if another processor
-- holds the lease.
--
-- KEYS: the log, its checkpoint, the lease. ARGV: the owner, the lifetime of the lease in ms.

local owner = redis.call('GET', KEYS[3])
if owner and owner ~= ARGV[1] then return false end
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])

local checkpoint = redis.call('HMGET', KEYS[2], 'id', 'trimmed', 'added', 'passed', 'passed-id')
local id = checkpoint[1] or '0-0'
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if last and last[1] ~= id then return id end
if redis.call('EXISTS', KEYS[1]) == 0 then
  -- Another log may take its place, with which the comparison below begins anew.
  if checkpoint[5] then redis.call('HDEL', KEYS[2], 'passed-id') end
  return id
end

-- At the end of the log no entry waits, even if another program has trimmed it.
redis.call('HSET', KEYS[2], 'counted', redis.call('XLEN', KEYS[1]) + tonumber(checkpoint[2] or '0'))

-- Nor is any missing, if as many were added since the last comparison as were passed. Redis 6.2 does not
-- count those that were added, and older processors do not count those that they pass.
local stream, added = redis.call('XINFO', 'STREAM', KEYS[1]), nil
for at = 1, #stream, 2 do
  if stream[at] == 'entries-added' then added = stream[at + 1] end
end
if not added then return id end
local lost = added - (checkpoint[3] or 0) - (checkpoint[4] or 0)
if checkpoint[5] ~= id or lost ~= 0 then
  if checkpoint[5] == id and lost > 0 then redis.call('HINCRBY', KEYS[2], 'lost', lost) end
  redis.call('HSET', KEYS[2], 'added', added, 'passed', 0, 'passed-id', id)
end
return id
