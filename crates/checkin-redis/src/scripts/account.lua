-- Some fields of an account and its standing at the same moment. KEYS: the user's hash, and the keys of the
-- standing. ARGV: the fields.

return {
  redis.call('HMGET', KEYS[1], unpack(ARGV)),
  redis.call('MGET', KEYS[2], KEYS[3], KEYS[4], KEYS[5]),
}
