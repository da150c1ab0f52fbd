-- Some fields of an account and its epoch at the same moment. KEYS: the user's hash, the epoch. ARGV: the
-- fields.

return { redis.call('HMGET', KEYS[1], unpack(ARGV)), redis.call('GET', KEYS[2]) }
