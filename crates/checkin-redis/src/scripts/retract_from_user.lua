-- Takes a retracted check-in out of the history and the figures of its user, if it is there, and marks it, so that
-- nothing applies it afterwards.
--
-- KEYS: the hash, the history, the base, the marks, the comments. ARGV: how long the mark is kept (ms), and the member of the
-- history.

local user, history, base, marks, comments = unpack(KEYS)
local id = string.match(ARGV[2], '^%S+')
add_marks(marks, ARGV[1], id)
redis.call('HDEL', comments, id)
if redis.call('ZREM', history, ARGV[2]) == 0 then return 0 end

local number = math.max((tonumber(redis.call('HGET', user, 'numCheckins') or '') or 0) - 1, 0)
local before = redis.call('HMGET', base, 'lastCheckin', 'lastSeenAt')
local last, place = tonumber(before[1] or '') or 0, before[2] or ''
local latest = redis.call('ZREVRANGE', history, 0, 0, 'WITHSCORES')
if latest[1] and tonumber(latest[2]) >= last then
  last, place = tonumber(latest[2]), string.match(latest[1], ' (%d+) ')
end
local function set(field, value)
  if value == '' then redis.call('HDEL', user, field) else redis.call('HSET', user, field, value) end
end
set('numCheckins', string.format('%.0f', number))
set('lastCheckin', last > 0 and string.format('%.0f', last) or '')
set('lastSeenAt', place)
return 1
