-- Puts users into the lists of where they were last, and out of those of before.
--
-- KEYS: for each place the list of its users. ARGV: for each place the number of users, and of each
-- the id, the time of the last check-in (ms), and 1 if it was here, 0 if elsewhere.

local at = 1
for key = 1, #KEYS do
  local count = tonumber(ARGV[at])
  for user = at + 1, at + count * 3, 3 do
    local id, time = ARGV[user], ARGV[user + 1]
    if ARGV[user + 2] == '1' then
      redis.call('ZADD', KEYS[key], 'GT', time, id)
    else
      -- Who came back since stays.
      local there = redis.call('ZSCORE', KEYS[key], id)
      if there and tonumber(there) < tonumber(time) then redis.call('ZREM', KEYS[key], id) end
    end
  end
  at = at + 1 + count * 3
end
return 1
