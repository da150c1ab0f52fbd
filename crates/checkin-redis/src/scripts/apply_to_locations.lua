-- Applies check-ins to places: each once, in any order, even if it is passed several times. A check-in
-- in the history is applied. One that is retracted is not applied any more.
--
-- KEYS: for each location the hash, the history, the ratings, the base and the marks of retracted check-ins.
-- ARGV: the weeks; for each location the number of check-ins, and of each, in the order of the history,
-- the time (ms) and the member, which ends with the stars.
-- Returns, for each location, the number of check-ins, and the number of check-ins in each week in which
-- there are new ones; false if the location does not exist.

local at = first_argument
local answers, is_marked = {}, has_marks(5)

for key = 1, #KEYS, 5 do
  local location, history, ratings, base = unpack(KEYS, key, key + 3)
  local items, first, last = ARGV, at + 1, at + ARGV[at] * 2
  at = last + 1
  if is_marked then
    items = unmarked(KEYS[key + 4], first, last)
    first, last = 1, #items
  end
  -- Returns an error if the key has another type.
  local figures = redis.pcall('HMGET', location, 'id', 'numCheckins', 'numStars')
  local answer = false
  if figures[1] then
    local number, stars = tonumber(figures[2] or '') or 0, tonumber(figures[3] or '') or 0
    if number > 0 and redis.call('EXISTS', history) == 0 and redis.call('EXISTS', base) == 0 then
      redis.call('HSET', base, 'numCheckins', number, 'numStars', stars)
    end
    local members = {}
    for member = first + 1, last, 2 do members[#members + 1] = items[member] end
    local new, by_stars = {}, {}
    local scores = #members > 0 and redis.call('ZMSCORE', history, unpack(members)) or {}
    for position, applied in ipairs(scores) do
      if not applied then
        local member = members[position]
        new[#new + 1], new[#new + 2] = items[first + position * 2 - 2], member
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
      redis.call('HSET', location,
        'numCheckins', number, 'numStars', stars, 'averageStars', average_of(number, stars))
    end
    answer = {number}
    local earliest, latest = tonumber(items[first]), tonumber(items[last - 1])
    append_weeks(answer, history, earliest or math.huge, latest or -math.huge)
  end
  answers[#answers + 1] = answer
end
return answers
