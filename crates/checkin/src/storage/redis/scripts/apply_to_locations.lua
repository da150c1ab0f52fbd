-- Applies check-ins to places: each once, in whatever order and however often they come. What a
-- history holds is applied.
--
-- KEYS: for each place the hash, the history, the ratings and the base.
-- ARGV: the number of weeks and their Mondays (ms); for each place the number of check-ins, and of
-- each the id, time (ms), user and stars.
-- Answers for each place with the number of check-ins, and the number of check-ins in each week;
-- with nothing if there is no such place.

local WEEK_MS = 604800000
local weeks = tonumber(ARGV[1])
local at = weeks + 2
local answers = {}

for key = 1, #KEYS, 4 do
  local location, history, ratings, base = KEYS[key], KEYS[key + 1], KEYS[key + 2], KEYS[key + 3]
  local count = tonumber(ARGV[at])
  local figures = redis.call('HMGET', location, 'id', 'numCheckins', 'numStars')
  local answer = false
  if figures[1] then
    local number, stars = tonumber(figures[2] or '') or 0, tonumber(figures[3] or '') or 0
    if number > 0 and redis.call('EXISTS', history) == 0 then
      redis.call('HSET', base, 'numCheckins', number, 'numStars', stars)
    end
    local new, new_stars = 0, 0
    for checkin = at + 1, at + count * 4, 4 do
      local member = ARGV[checkin] .. ' ' .. ARGV[checkin + 2] .. ' ' .. ARGV[checkin + 3]
      if redis.call('ZADD', history, 'NX', ARGV[checkin + 1], member) == 1 then
        new, new_stars = new + 1, new_stars + tonumber(ARGV[checkin + 3])
        redis.call('HINCRBY', ratings, ARGV[checkin + 3], 1)
      end
    end
    if new > 0 then
      number, stars = number + new, stars + new_stars
      -- One decimal, half a tenth rounded up; as JavaScript writes numbers: 4.5, and 4.
      local tenths = math.floor((stars * 20 + number) / (number * 2))
      local average = string.format('%d', math.floor(tenths / 10))
      if tenths % 10 > 0 then average = average .. '.' .. tenths % 10 end
      redis.call('HSET', location, 'numCheckins', string.format('%.0f', number),
        'numStars', string.format('%.0f', stars), 'averageStars', average)
    end
    answer = {number}
    for week = 2, weeks + 1 do
      local monday = tonumber(ARGV[week])
      local sunday = string.format('(%.0f', monday + WEEK_MS)
      answer[#answer + 1] = redis.call('ZCOUNT', history, ARGV[week], sunday)
    end
  end
  answers[#answers + 1] = answer
  at = at + 1 + count * 4
end
return answers
