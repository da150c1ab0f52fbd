-- Removes users from the lists of the locations where they were last, unless they have come back.
--
-- KEYS: for each location the list of its users. ARGV: for each location the number of users, and of each
-- the id and the time (ms) of the check-in with which the user left.

local at = 1
for key = 1, #KEYS do
  local users, times = {}, {}
  for user = at + 1, at + ARGV[at] * 2, 2 do
    users[#users + 1], times[#times + 1] = ARGV[user], tonumber(ARGV[user + 1])
  end
  local gone = {}
  for position, since in ipairs(redis.call('ZMSCORE', KEYS[key], unpack(users))) do
    if since and tonumber(since) < times[position] then gone[#gone + 1] = users[position] end
  end
  if #gone > 0 then redis.call('ZREM', KEYS[key], unpack(gone)) end
  at = at + 1 + #users * 2
end
return {}
