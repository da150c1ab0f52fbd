-- Some fields of an account and its standing at the same moment. KEYS: the user's hash, the epoch, the session
-- that is kept. ARGV: the fields.

return { redis.call('HMGET', KEYS[1], unpack(ARGV)), redis.call('MGET', KEYS[2], KEYS[3]) }
