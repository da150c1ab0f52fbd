-- Applies check-ins to places: each once, in any order, even if it is passed several times. A check-in
-- in the history is applied.
--
-- KEYS: for each location the hash, the history, the ratings and the base.
-- ARGV: the weeks; for each location the number of check-ins, and of each, in the order of the history,
-- the time (ms) and the member, which ends with the stars.
-- Returns, for each location, the number of check-ins, and the number of check-ins in each week in which
-- there are new ones; false if the location does not exist.

local at = first_argument
local answers = {}

for key = 1, #KEYS, 4 do
  local location, history, ratings = KEYS[key], KEYS[key + 1], KEYS[key + 2]
  local first, last = at + 1, at + ARGV[at] * 2
  -- Returns an error if the key has another type.
  local figures = redis.pcall('HMGET', location, 'id', 'numCheckins', 'numStars')
  local answer = false
  if figures[1] then
    local number, stars = tonumber(figures[2] or '') or 0, tonumber(figures[3] or '') or 0
    if number > 0 and redis.call('EXISTS', history) == 0 then
      redis.call('HSET', KEYS[key + 3], 'numCheckins', number, 'numStars', stars)
    end
    local members = {}
    for member = first + 1, last, 2 do members[#members + 1] = ARGV[member] end
    local new, by_stars = {}, {}
    for position, applied in ipairs(redis.call('ZMSCORE', history, unpack(members))) do
      if not applied then
        local member = members[position]
        new[#new + 1], new[#new + 2] = ARGV[first + position * 2 - 2], member
        local rating = string.byte(member, -1) - 48
        by_stars[rating] = (by_stars[rating] or 0) + 1
      end
    end
    if #new > 0 then
      redis.call('ZADD', history, unpack(new))
      for rating, times in pairs(by_stars) do
        redis.call('HINCRBY', ratings, rating, times)
        number, stars = number + times, stars + rating * times
      end
      -- One decimal, half a tenth rounded up, written as JavaScript writes numbers: 4.5, and 4.
      local tenths = math.floor((stars * 20 + number) / (number * 2))
      local average = string.format('%d', math.floor(tenths / 10))
      if tenths % 10 > 0 then average = average .. '.' .. tenths % 10 end
      redis.call('HSET', location,
        'numCheckins', number, 'numStars', stars, 'averageStars', average)
    end
    answer = {number}
    append_weeks(answer, history, tonumber(ARGV[first]), tonumber(ARGV[last - 1]))
  end
  answers[#answers + 1] = answer
  at = last + 1
end
return answers
