-- Replaces the second factor of an account, if it is the expected one. Returns 1 if so.
--
-- KEYS: the user's hash, the second factor. ARGV: the expected and the new one; an empty text is none.

if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if (redis.call('GET', KEYS[2]) or '') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[2]) else redis.call('SET', KEYS[2], ARGV[2]) end
return 1
