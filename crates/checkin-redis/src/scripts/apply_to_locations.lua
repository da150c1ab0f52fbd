-- Applies check-ins to places: each once, in any order, even if it is passed several times. A check-in
-- in the history is applied.
--
-- KEYS: for each place the hash, the history, the ratings and the base.
-- ARGV: the number of weeks and their Mondays (ms); for each place the number of check-ins, and of
-- each the id, time (ms), user and stars.
-- Returns, for each place, the number of check-ins, and the number of check-ins in each week; false if
-- the place does not exist.

local WEEK_MS = 604800000
-- Lua can pass some thousand arguments.
local AT_ONCE = 1000
local weeks = tonumber(ARGV[1])
local at = weeks + 2
local answers = {}

for key = 1, #KEYS, 4 do
  local location, history, ratings, base = KEYS[key], KEYS[key + 1], KEYS[key + 2], KEYS[key + 3]
  local count = tonumber(ARGV[at])
  -- Returns an error if the key has another type.
  local figures = redis.pcall('HMGET', location, 'id', 'numCheckins', 'numStars')
  local answer = false
  if figures[1] then
    local number, stars = tonumber(figures[2] or '') or 0, tonumber(figures[3] or '') or 0
    if number > 0 and redis.call('EXISTS', history) == 0 then
      redis.call('HSET', base, 'numCheckins', number, 'numStars', stars)
    end
    -- Adds them together, because a busy place has hundreds in a batch.
    local new, new_stars, by_stars, members = 0, 0, {}, {}
    for checkin = at + 1, at + count * 4, 4 do
      members[#members + 1] =
        ARGV[checkin] .. ' ' .. ARGV[checkin + 2] .. ' ' .. ARGV[checkin + 3]
    end
    for first = 1, #members, AT_ONCE do
      local last = math.min(first + AT_ONCE - 1, #members)
      local there = redis.call('ZMSCORE', history, unpack(members, first, last))
      local added = {}
      for position = first, last do
        if not there[position - first + 1] then
          local checkin = at + 1 + (position - 1) * 4
          added[#added + 1], added[#added + 2] = ARGV[checkin + 1], members[position]
          local stars = ARGV[checkin + 3]
          new, new_stars = new + 1, new_stars + tonumber(stars)
          by_stars[stars] = (by_stars[stars] or 0) + 1
        end
      end
      if #added > 0 then redis.call('ZADD', history, unpack(added)) end
    end
    for stars, times in pairs(by_stars) do redis.call('HINCRBY', ratings, stars, times) end
    if new > 0 then
      number, stars = number + new, stars + new_stars
      -- One decimal, half a tenth rounded up, written as JavaScript writes numbers: 4.5, and 4.
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
