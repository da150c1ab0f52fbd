-- Removes a pending step and returns it. A script and not GETDEL, so that no login needs another permission.
-- KEYS: the step.

local step = redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
return step
