-- Appends a check-in, unless it is a retry or a duplicate, or the log is too long: one step, one
-- round trip.
--
-- KEYS: the log, its checkpoint, the marker of an identical check-in, and with an idempotency key
-- what it made.
-- ARGV: user, location, stars, duplicate window in ms, life of an idempotency key in ms, the
-- longest backlog, the longest log, the number of partitions and which one this is.

local checkin = ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3]
local window = tonumber(ARGV[4])

if KEYS[4] then
  local remembered = redis.call('GET', KEYS[4])
  if remembered then
    local first, id = string.match(remembered, '^(.*) (%S+)$')
    if first == checkin then return {'replayed', id} end
    return {'reused'}
  end
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The marker holds the time of the check-in and not only a life, for windows may differ.
if window > 0 then
  local last = tonumber(redis.call('GET', KEYS[3]) or '')
  if last and now - last < window then return {'duplicate'} end
end

local length = redis.call('XLEN', KEYS[1])
local checkpoint = redis.call('HMGET', KEYS[2], 'counted', 'trimmed')
local trimmed = tonumber(checkpoint[2] or '0')
-- Entries in the log that are counted. Others may have trimmed it too.
local counted = tonumber(checkpoint[1] or '0') - trimmed
if length - counted >= tonumber(ARGV[6]) then return {'behind'} end
if length >= tonumber(ARGV[7]) then
  local over = math.min(length - tonumber(ARGV[7]) + 1, counted)
  if over <= 0 or length - over >= tonumber(ARGV[7]) then return {'behind'} end
  local gone = redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', length - over)
  redis.call('HINCRBY', KEYS[2], 'trimmed', gone)
end

-- Of several partitions each has its own numbers: no two entries of the log have the same id.
local id = '*'
local partitions = tonumber(ARGV[8])
if partitions > 1 then
  local ms, seq = now, -1
  if redis.call('EXISTS', KEYS[1]) == 1 then
    local stream = redis.call('XINFO', 'STREAM', KEYS[1])
    for at = 1, #stream, 2 do
      if stream[at] == 'last-generated-id' then
        local last_ms, last_seq = string.match(stream[at + 1], '^(%d+)-(%d+)$')
        if tonumber(last_ms) >= now then ms, seq = tonumber(last_ms), tonumber(last_seq) end
      end
    end
  end
  local turn = (math.floor(seq / partitions) + 1) * partitions + tonumber(ARGV[9])
  id = string.format('%.0f-%.0f', ms, turn)
end

id = redis.call('XADD', KEYS[1], id,
  'userId', ARGV[1], 'locationId', ARGV[2], 'starRating', ARGV[3])
if window > 0 then
  redis.call('SET', KEYS[3], string.format('%.0f', now), 'PX', ARGV[4])
end
if KEYS[4] then
  redis.call('SET', KEYS[4], checkin .. ' ' .. id, 'PX', ARGV[5])
end
return {'stored', id}
