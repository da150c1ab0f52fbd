-- Appends check-ins under the ids that they have.
--
-- KEYS: the log. ARGV: for each check-in its id, user, location and stars.
-- Answers for each: 1 stored, 0 was there, -1 the log is past it.

local answers = {}
for at = 1, #ARGV, 4 do
  local id = ARGV[at]
  local added = redis.pcall('XADD', KEYS[1], id,
    'userId', ARGV[at + 1], 'locationId', ARGV[at + 2], 'starRating', ARGV[at + 3])
  if type(added) ~= 'table' then
    answers[#answers + 1] = 1
  elseif #redis.call('XRANGE', KEYS[1], id, id) > 0 then
    answers[#answers + 1] = 0
  elseif string.find(added.err, 'equal or smaller') or string.find(added.err, 'greater than 0') then
    answers[#answers + 1] = -1
  else
    return added
  end
end
return answers
