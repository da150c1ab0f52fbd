-- Adds private check-ins that keep their ids to the history of their user.
--
-- KEYS: the private history, the comments, the retracted private check-ins, the status of the account.
-- ARGV: the time (ms) before which check-ins may have been removed, and of each check-in its id, time, location,
-- stars, and its comment or nothing.
-- Returns for each: 1 if it was stored, 0 if it was already there, or was until it was retracted, -1 if it is too
-- old, -2 if the account is deleted: it would never be erased.

local answers = {}
local is_deleted = redis.call('GET', KEYS[4]) == 'deleted'
for at = 2, #ARGV, 5 do
  local id, time, comment = ARGV[at], ARGV[at + 1], ARGV[at + 4]
  local visit = ARGV[at + 2] .. ' ' .. ARGV[at + 3]
  local answer = 1
  if is_deleted then
    answer = -2
  elseif redis.call('ZSCORE', KEYS[3], id) then
    answer = 0
  elseif tonumber(time) < tonumber(ARGV[1]) then
    answer = -1
  end
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], time, time)) do
    local its_id, its_visit = string.match(member, '^(%S+) (.*)$')
    if its_id == id or its_visit == visit then answer = 0 end
  end
  if answer == 1 then
    if comment ~= '' then redis.call('HSET', KEYS[2], id, comment) end
    redis.call('ZADD', KEYS[1], time, id .. ' ' .. visit)
  end
  answers[#answers + 1] = answer
end
return answers
