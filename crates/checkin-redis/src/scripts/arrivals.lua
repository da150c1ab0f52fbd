-- Says when entries came in whose ids are ahead of the clock.
--
-- KEYS: the index of times. ARGV: members of the index.
-- Answers with now (ms), and for each member with its time, or with nothing if it is not there.

local time = redis.call('TIME')
local answers = {string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))}
if #ARGV > 0 then
  for _, time in ipairs(redis.call('ZMSCORE', KEYS[1], unpack(ARGV))) do
    answers[#answers + 1] = time
  end
end
return answers
