-- Appends a check-in, unless it is a retry or a duplicate: one step, one round trip.
--
-- KEYS: the log, the marker of an identical check-in, and with an idempotency key what it made.
-- ARGV: user, location, stars, duplicate window in ms, life of an idempotency key in ms.

local checkin = ARGV[1] .. ' ' .. ARGV[2] .. ' ' .. ARGV[3]
local window = tonumber(ARGV[4])

if KEYS[3] then
  local remembered = redis.call('GET', KEYS[3])
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
  local last = tonumber(redis.call('GET', KEYS[2]) or '')
  if last and now - last < window then return {'duplicate'} end
end

local id = redis.call('XADD', KEYS[1], '*',
  'userId', ARGV[1], 'locationId', ARGV[2], 'starRating', ARGV[3])
if window > 0 then
  redis.call('SET', KEYS[2], string.format('%.0f', now), 'PX', ARGV[4])
end
if KEYS[3] then
  redis.call('SET', KEYS[3], checkin .. ' ' .. id, 'PX', ARGV[5])
end
return {'stored', id}
