-- Returns a session, the rest of its time to live, its epoch, and 1 if no touch prolongs it, unless it
-- has a tombstone or has reached its absolute timeout. A session that another program created counts as
-- created now.
--
-- KEYS: the session, its tombstone, its time of creation, its epoch. ARGV: the absolute timeout, how long the
-- time of creation is kept, how long a tombstone is kept after the absolute timeout; all in milliseconds.

-- A read does not fail because Redis accepts no write at the moment.
local function try(...)
    local reply = redis.pcall(...)
    if type(reply) ~= 'table' or not reply.err then return end
    for _, code in ipairs({ 'OOM', 'READONLY', 'MISCONF', 'NOREPLICAS' }) do
        if string.find(reply.err, code, 1, true) then return end
    end
    error(reply.err)
end
local value = redis.call('GET', KEYS[1])
if not value then
    -- A replica that is being filled has no session either. It alone refuses a write with this error; on a
    -- primary this one changes nothing.
    local reply = redis.pcall('DEL', KEYS[1])
    if type(reply) == 'table' and string.find(reply.err, 'READONLY', 1, true) then
        return redis.error_reply('READONLY a replica has no such session')
    end
    return false
end
if redis.call('EXISTS', KEYS[2]) == 1 then
    try('DEL', KEYS[1])
    return false
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local created = tonumber(redis.call('GET', KEYS[3]))
if not created then
    created = now
    try('SET', KEYS[3], string.format('%.0f', now), 'PX', ARGV[2])
end
local life_left = created + ARGV[1] - now
if life_left <= 0 then
    try('DEL', KEYS[1], KEYS[3], KEYS[4])
    try('SET', KEYS[2], '1', 'PX', ARGV[3])
    return false
end
local left = redis.call('PTTL', KEYS[1])
-- Redis may have rounded it.
local is_final = left >= life_left - 1000
if left < 0 or is_final then left = life_left end
return { value, left, redis.call('GET', KEYS[4]), is_final and 1 or 0 }
