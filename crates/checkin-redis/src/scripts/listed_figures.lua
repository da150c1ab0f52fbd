-- The figures by which the leaderboards list a user or a location, in one step.
--
-- KEYS: the hash, the history. ARGV: the weeks.
-- Returns, as texts, the number of check-ins, the time and location of the last one, and the number of check-ins in
-- each week.

local figures = redis.call('HMGET', KEYS[1], 'numCheckins', 'lastCheckin', 'lastSeenAt')
local counts = {}
append_weeks(counts, KEYS[2], -math.huge, math.huge)
local answer = {figures[1] or '', figures[2] or '', figures[3] or ''}
for _, count in ipairs(counts) do answer[#answer + 1] = string.format('%d', count) end
return answer
