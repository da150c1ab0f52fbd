-- Indexes a session of an account. An existing time of creation is kept, and the index of the
-- account expires after the longest time that was requested.
--
-- KEYS: the account. ARGV: the field and the value of the session's creation, those of the rest, how long to
-- keep the index, in milliseconds.
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[5]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
return 1
