-- Applies check-ins to users: each once, in any order, even if it is passed several times. A check-in
-- in the history is applied.
--
-- KEYS: for each user the hash, the history, the base, the comments, and the status of the account.
-- ARGV: the weeks; for each user the number of check-ins, the location of the last one, of each, in
-- the order of the history, the time (ms) and the member; the number of comments, and of each the id of
-- its check-in and the text.
-- Returns, for each user, how many check-ins were new, the number of check-ins, the time and location of
-- the last one, the location of the last one before, and the number of check-ins in each week in which
-- there are new ones; false if the user does not exist.

local at = first_argument
local answers = {}

for key = 1, #KEYS, 5 do
  local user, history = KEYS[key], KEYS[key + 1]
  local first, last = at + 2, at + 1 + ARGV[at] * 2
  local last_comment = last + 1 + ARGV[last + 1] * 2
  -- Returns an error if the key has another type.
  local figures = redis.pcall('HMGET', user, 'id', 'numCheckins', 'lastCheckin', 'lastSeenAt')
  local answer = false
  if figures[1] then
    local number, since = tonumber(figures[2] or '') or 0, tonumber(figures[3] or '') or 0
    local before = figures[4] or ''
    local latest, place = tonumber(ARGV[last - 1]), before
    if number > 0 and redis.call('EXISTS', history) == 0 then
      redis.call('HSET', KEYS[key + 2], 'numCheckins', number, 'lastCheckin', since)
    end
    -- Before the history, so that a check-in in it has its comment even if Redis refuses a command.
    -- Those of a deleted account were erased.
    if last_comment > last + 1 and redis.call('GET', KEYS[key + 4]) ~= 'deleted' then
      redis.call('HSET', KEYS[key + 3], unpack(ARGV, last + 2, last_comment))
    end
    local new = redis.call('ZADD', history, 'NX', unpack(ARGV, first, last))
    number = number + new
    -- A check-in that was applied before is not later than the last one.
    if new > 0 and latest >= since then
      place = ARGV[at + 1]
      -- If several have the same time, the last one does not depend on the order of their arrival.
      if latest == since then
        place = string.match(redis.call('ZREVRANGE', history, 0, 0)[1], ' (%d+) ')
      end
      since = latest
      redis.call('HSET', user,
        'numCheckins', number, 'lastCheckin', ARGV[last - 1], 'lastSeenAt', place)
    elseif new > 0 then
      redis.call('HSET', user, 'numCheckins', number)
    end
    answer = {new, number, since, place, before}
    append_weeks(answer, history, tonumber(ARGV[first]), latest)
  end
  answers[#answers + 1] = answer
  at = last_comment + 1
end
return answers
