-- Returns the time of the server (ms), or false if the key exists. KEYS: the key.

if redis.call('EXISTS', KEYS[1]) == 1 then return false end
local time = redis.call('TIME')
return time[1] * 1000 + math.floor(time[2] / 1000)
