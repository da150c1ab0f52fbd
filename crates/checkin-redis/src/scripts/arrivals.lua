-- Returns the times of arrival of entries whose ids are ahead of the clock.
--
-- KEYS: the index of times. ARGV: members of the index.
-- Returns now (ms), and for each member its time, or false if it is not in the index.

local time = redis.call('TIME')
local answers = {string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))}
if #ARGV > 0 then
  for _, time in ipairs(redis.call('ZMSCORE', KEYS[1], unpack(ARGV))) do
    answers[#answers + 1] = time
  end
end
return answers
