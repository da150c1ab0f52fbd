-- Acquires or renews the lease of a partition. Returns its checkpoint, or false if another processor
-- holds the lease.
--
-- KEYS: the log, its checkpoint, the lease. ARGV: the owner, the lifetime of the lease in ms.

local owner = redis.call('GET', KEYS[3])
if owner and owner ~= ARGV[1] then return false end
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[2])

local checkpoint = redis.call('HMGET', KEYS[2], 'id', 'trimmed')
local id = checkpoint[1] or '0-0'
-- At the end of the log no entry waits, even if another program has trimmed it.
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if last and last[1] == id then
  redis.call('HSET', KEYS[2], 'counted', redis.call('XLEN', KEYS[1]) + tonumber(checkpoint[2] or '0'))
end
return id
