-- Appends a check-in, unless it is a retry or a duplicate, or the log is too long: one step, one
-- round trip.
--
-- KEYS: the log, its checkpoint, its index of times, the marker of an identical check-in, and, with
-- an idempotency key, the key of its first check-in.
-- ARGV: user, location, stars, duplicate window in ms, time to live of an idempotency key in ms, the
-- maximum backlog, the maximum length of the log, the number of partitions and of this partition.

-- Maximum number of entries that are removed from the index of times when they leave the log.
local AT_ONCE = 1000

local checkin = ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3]
local window = tonumber(ARGV[4])

if KEYS[5] then
  local remembered = redis.call('GET', KEYS[5])
  if remembered then
    local first, id = string.match(remembered, '^(.*) (%S+)$')
    if first == checkin then return {'replayed', id} end
    return {'reused'}
  end
end

local now = now_ms()

-- The marker holds the time of the check-in, and not only a time to live, because windows may differ.
if window > 0 then
  local last = tonumber(redis.call('GET', KEYS[4]) or '')
  if last and tonumber(now) - last < window then return {'duplicate'} end
end

local function trim(length, gone)
  if redis.call('EXISTS', KEYS[3]) == 1 then
    local members = {}
    for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', math.min(gone, AT_ONCE))) do
      members[#members + 1] = member(string.match(entry[1], '^(%d+)-(%d+)$'))
    end
    if #members > 0 then redis.call('ZREM', KEYS[3], unpack(members)) end
  end
  return redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', length - gone)
end

local length = redis.call('XLEN', KEYS[1])
local checkpoint = redis.call('HMGET', KEYS[2], 'counted', 'trimmed')
local trimmed = tonumber(checkpoint[2] or '0')
-- Applied entries in the log. Other programs may have trimmed it, too.
local counted = tonumber(checkpoint[1] or '0') - trimmed
if length - counted >= tonumber(ARGV[6]) then return {'behind'} end
if length >= tonumber(ARGV[7]) then
  local over = math.min(length - tonumber(ARGV[7]) + 1, counted)
  if over <= 0 or length - over >= tonumber(ARGV[7]) then return {'behind'} end
  redis.call('HINCRBY', KEYS[2], 'trimmed', trim(length, over))
end

local last_ms, last_seq = last_id(KEYS[1])
local ms, seq = next_id(now, last_ms, last_seq, tonumber(ARGV[8]), tonumber(ARGV[9]))
if not ms then return {'used up'} end
local id = ms .. '-' .. seq
if less(now, ms) then
  -- Another program wrote an entry with an id that it chose, or the clock was set back.
  redis.call('XADD', KEYS[1], id,
    'userId', ARGV[1], 'locationId', ARGV[2], 'starRating', ARGV[3], 'time', now)
  redis.call('ZADD', KEYS[3], now, member(ms, seq))
else
  redis.call('XADD', KEYS[1], id, 'userId', ARGV[1], 'locationId', ARGV[2], 'starRating', ARGV[3])
end
if window > 0 then
  redis.call('SET', KEYS[4], now, 'PX', ARGV[4])
end
if KEYS[5] then
  redis.call('SET', KEYS[5], checkin .. ' ' .. id, 'PX', ARGV[5])
end
return {'stored', id}
