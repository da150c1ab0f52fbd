-- Applies check-ins to users: each once, in any order, even if it is passed several times. A check-in
-- in the history is applied. One that is retracted is not applied any more.
--
-- KEYS: for each user the hash, the history, the base, the comments, the status of the account, and the marks of
-- retracted check-ins.
-- ARGV: the weeks; for each user the number of check-ins, of each, in the order of the history, the time (ms)
-- and the member; the number of comments, and of each the id of its check-in and the text.
-- Returns, for each user, how many check-ins were new, the number of check-ins, the time and location of
-- the last one, the location of the last one before, and the number of check-ins in each week in which
-- there are new ones; false if the user does not exist, and 'deleted' if the account is deleted: what was
-- applied now would never be erased.

local at = first_argument
local answers, is_marked = {}, has_marks(6)

for key = 1, #KEYS, 6 do
  local user, history, base, comments, status, marks = unpack(KEYS, key, key + 5)
  local items, first, last = ARGV, at + 1, at + ARGV[at] * 2
  local remarks, first_remark, last_remark = ARGV, last + 2, last + 1 + ARGV[last + 1] * 2
  at = last_remark + 1
  if is_marked then
    items = unmarked(marks, first, last)
    remarks = unmarked_remarks(marks, first_remark, last_remark)
    first, last, first_remark, last_remark = 1, #items, 1, #remarks
  end
  -- Returns an error if the key has another type.
  local figures = redis.pcall('HMGET', user, 'id', 'numCheckins', 'lastCheckin', 'lastSeenAt')
  local answer = false
  if figures[1] and redis.call('GET', status) == 'deleted' then
    answer = 'deleted'
  elseif figures[1] then
    local number, since = tonumber(figures[2] or '') or 0, tonumber(figures[3] or '') or 0
    local before = figures[4] or ''
    local place, new, earliest, latest = before, 0, math.huge, -math.huge
    if number > 0 and redis.call('EXISTS', history) == 0 and redis.call('EXISTS', base) == 0 then
      redis.call('HSET', base, 'numCheckins', number, 'lastCheckin', since, 'lastSeenAt', before)
    end
    -- Before the history, so that a check-in in it has its comment even if Redis refuses a command.
    if first_remark < last_remark then
      redis.call('HSET', comments, unpack(remarks, first_remark, last_remark))
    end
    if first < last then
      earliest, latest = tonumber(items[first]), tonumber(items[last - 1])
      new = redis.call('ZADD', history, 'NX', unpack(items, first, last))
    end
    number = number + new
    local newest, time = items[last], items[last - 1]
    -- If several have the same time, the last one does not depend on the order of their arrival. And one that was applied
    -- before keeps its time, which may be another one: clocks differ.
    if new > 0 and (latest == since or new < (last - first + 1) / 2) then
      newest, time = unpack(redis.call('ZREVRANGE', history, 0, 0, 'WITHSCORES'))
    end
    if new > 0 and tonumber(time) >= since then
      place, since = string.match(newest, ' (%d+) '), tonumber(time)
      redis.call('HSET', user,
        'numCheckins', number, 'lastCheckin', time, 'lastSeenAt', place)
    elseif new > 0 then
      redis.call('HSET', user, 'numCheckins', number)
    end
    answer = {new, number, since, place, before}
    append_weeks(answer, history, earliest, latest)
  end
  answers[#answers + 1] = answer
end
return answers
