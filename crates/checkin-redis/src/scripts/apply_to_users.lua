-- Applies check-ins to users: each once, in any order, even if it is passed several times. A check-in
-- in the history is applied.
--
-- KEYS: for each user the hash, the history and the base.
-- ARGV: the number of weeks and their Mondays (ms); for each user the number of check-ins, and of
-- each the id, time (ms), place and stars.
-- Returns, for each user, how many check-ins were new, the number of check-ins, the time and place of
-- the last one, the place of the last one before, and the number of check-ins in each week; false if
-- the user does not exist.

local WEEK_MS = 604800000
local weeks = tonumber(ARGV[1])
local at = weeks + 2
local answers = {}

for key = 1, #KEYS, 3 do
  local user, history, base = KEYS[key], KEYS[key + 1], KEYS[key + 2]
  local count = tonumber(ARGV[at])
  -- Returns an error if the key has another type.
  local figures = redis.pcall('HMGET', user, 'id', 'numCheckins', 'lastCheckin', 'lastSeenAt')
  local answer = false
  if figures[1] then
    local number = tonumber(figures[2] or '') or 0
    local last, place = tonumber(figures[3] or '') or 0, figures[4] or ''
    if number > 0 and redis.call('EXISTS', history) == 0 then
      redis.call('HSET', base, 'numCheckins', number, 'lastCheckin', string.format('%.0f', last))
    end
    local before, new, latest = place, 0, 0
    for checkin = at + 1, at + count * 4, 4 do
      local time = tonumber(ARGV[checkin + 1])
      local member = ARGV[checkin] .. ' ' .. ARGV[checkin + 2] .. ' ' .. ARGV[checkin + 3]
      if redis.call('ZADD', history, 'NX', ARGV[checkin + 1], member) == 1 then
        new = new + 1
        if time > latest then latest = time end
      end
    end
    if new > 0 then
      number = number + new
      redis.call('HSET', user, 'numCheckins', string.format('%.0f', number))
      if latest >= last then
        -- If several have the same time, the last one does not depend on the order of their arrival.
        last = latest
        place = string.match(redis.call('ZREVRANGE', history, 0, 0)[1], ' (%d+) ')
        redis.call('HSET', user, 'lastCheckin', string.format('%.0f', last), 'lastSeenAt', place)
      end
    end
    answer = {new, number, string.format('%.0f', last), place, before}
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
