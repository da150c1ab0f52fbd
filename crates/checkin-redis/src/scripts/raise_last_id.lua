-- Ensures that no id up to this one is assigned. KEYS: the last id. ARGV: an id.

if tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1])
end
return 1
