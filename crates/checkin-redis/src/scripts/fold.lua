-- Removes check-ins from a history, and adds their number to its base, to that of a user also the time and location
-- of the last one. The newest one stays: a history that is missing means that no check-in was applied.
--
-- KEYS: the history, the base, and the comments of a user's history. ARGV: the field of the base, and the
-- members.
-- Returns how many were removed.

local newest, removed, last, place = redis.call('ZREVRANGE', KEYS[1], 0, 0)[1], 0, nil, nil
for at = 2, #ARGV do
  local time = ARGV[at] ~= newest and redis.call('ZSCORE', KEYS[1], ARGV[at])
  if time then
    removed = removed + redis.call('ZREM', KEYS[1], ARGV[at])
    last, place = tonumber(time), string.match(ARGV[at], ' (%d+) ')
  end
  if ARGV[at] ~= newest and KEYS[3] then
    redis.call('HDEL', KEYS[3], string.match(ARGV[at], '^%S+'))
  end
end
if removed > 0 then redis.call('HINCRBY', KEYS[2], ARGV[1], removed) end
if removed > 0 and ARGV[1] == 'numCheckins' then
  local before = tonumber(redis.call('HGET', KEYS[2], 'lastCheckin') or '') or 0
  if last >= before then
    redis.call('HSET', KEYS[2], 'lastCheckin', string.format('%.0f', last), 'lastSeenAt', place)
  end
end
return removed
