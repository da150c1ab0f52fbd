-- An account and its epoch at the same moment. KEYS: the user's hash, the epoch.

return { redis.call('HGETALL', KEYS[1]), redis.call('GET', KEYS[2]) or '0' }
