-- The figures of a location and the data from which they are computed, in one step.
--
-- KEYS: the hash, the history, the ratings, the base.

local figures = redis.call('HMGET', KEYS[1], 'numCheckins', 'numStars')
local base = redis.call('HMGET', KEYS[4], 'numCheckins', 'numStars', 'folded')
local ratings, rated, stars = redis.call('HGETALL', KEYS[3]), 0, 0
for at = 1, #ratings, 2 do
  rated = rated + tonumber(ratings[at + 1])
  stars = stars + tonumber(ratings[at]) * tonumber(ratings[at + 1])
end
local function number(text) return string.format('%.0f', tonumber(text or '') or 0) end
return {number(figures[1]), number(figures[2]), number(base[1]), number(base[2]),
  number(redis.call('ZCARD', KEYS[2])), number(rated), number(stars), number(base[3])}
