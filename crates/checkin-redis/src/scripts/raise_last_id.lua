-- Raises a number to at least another one: the last id, up to which no id is assigned, the horizon of the histories, or
-- the last search of an account that has begun. KEYS: the number. ARGV: the other one.

if tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1])
end
return 1
