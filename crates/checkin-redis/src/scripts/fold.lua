-- Removes check-ins from a history, and adds their number to its base. The newest one stays: a history
-- that is missing means that no check-in was applied.
--
-- KEYS: the history, the base, and the comments of a user's history. ARGV: the field of the base, and the
-- members.
-- Returns how many were removed.

local newest, removed = redis.call('ZREVRANGE', KEYS[1], 0, 0)[1], 0
for at = 2, #ARGV do
  if ARGV[at] ~= newest then
    removed = removed + redis.call('ZREM', KEYS[1], ARGV[at])
    if KEYS[3] then redis.call('HDEL', KEYS[3], string.match(ARGV[at], '^%S+')) end
  end
end
if removed > 0 then redis.call('HINCRBY', KEYS[2], ARGV[1], removed) end
return removed
