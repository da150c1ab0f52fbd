-- Takes a retracted check-in out of the history and the figures of its location, if it is there, and marks it, so
-- that nothing applies it afterwards.
--
-- KEYS: the hash, the history, the ratings, the marks. ARGV: how long the mark is kept (ms), and the member of the
-- history, which ends with the stars.

local location, history, ratings, marks = unpack(KEYS)
add_marks(marks, ARGV[1], string.match(ARGV[2], '^%S+'))
if redis.call('ZREM', history, ARGV[2]) == 0 then return 0 end

local rating = string.byte(ARGV[2], -1) - 48
redis.call('HINCRBY', ratings, rating, -1)
local figures = redis.call('HMGET', location, 'numCheckins', 'numStars')
local number = math.max((tonumber(figures[1] or '') or 0) - 1, 0)
local stars = math.max((tonumber(figures[2] or '') or 0) - rating, 0)
redis.call('HSET', location, 'numCheckins', string.format('%.0f', number),
  'numStars', string.format('%.0f', stars), 'averageStars', average_of(number, stars))
return 1
