-- Marks: sorted sets of retracted check-ins, or of records whose figures were lowered, by the time (ms) until
-- which they are kept.

local function add_marks(marks, life_ms, ...)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  redis.call('ZREMRANGEBYSCORE', marks, '-inf', string.format('%.0f', now))
  local until_ms, words = string.format('%.0f', now + life_ms), {}
  for _, member in ipairs({...}) do
    words[#words + 1], words[#words + 2] = until_ms, member
  end
  redis.call('ZADD', marks, unpack(words))
  redis.call('PEXPIRE', marks, life_ms)
end
