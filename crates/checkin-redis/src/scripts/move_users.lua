-- Adds users to the lists of the places where they were last, and removes them from the lists before.
--
-- KEYS: for each place the list of its users. ARGV: for each place the number of users, and of each
-- the id, the time of the last check-in (ms), and 1 if it was here, 0 if it was elsewhere.

-- Lua can pass some thousand arguments.
local AT_ONCE = 1000

local at = 1
for key = 1, #KEYS do
  local count = tonumber(ARGV[at])
  for first = at + 1, at + count * 3, AT_ONCE * 3 do
    local here, gone, times = {}, {}, {}
    for user = first, math.min(first + AT_ONCE * 3 - 1, at + count * 3), 3 do
      if ARGV[user + 2] == '1' then
        here[#here + 1], here[#here + 2] = ARGV[user + 1], ARGV[user]
      else
        gone[#gone + 1], times[#times + 1] = ARGV[user], tonumber(ARGV[user + 1])
      end
    end
    if #here > 0 then redis.call('ZADD', KEYS[key], 'GT', unpack(here)) end
    if #gone > 0 then
      local left = {}
      for position, since in ipairs(redis.call('ZMSCORE', KEYS[key], unpack(gone))) do
        -- A user who has come back since then stays.
        if since and tonumber(since) < times[position] then left[#left + 1] = gone[position] end
      end
      if #left > 0 then redis.call('ZREM', KEYS[key], unpack(left)) end
    end
  end
  at = at + 1 + count * 3
end
return {}
