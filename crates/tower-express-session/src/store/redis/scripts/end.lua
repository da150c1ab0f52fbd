-- Ends a session and leaves a tombstone. One that lives longer already keeps its life. Returns 1 if there was a
-- session, otherwise 0: a value that was written back under a tombstone is none.
--
-- KEYS: the session, its tombstone, its time of creation, its epoch. ARGV: the life of the tombstone in
-- milliseconds.
local left = redis.call('PTTL', KEYS[2])
if left ~= -1 and left < tonumber(ARGV[1]) then
    local reply = redis.pcall('SET', KEYS[2], '1', 'PX', ARGV[1])
    if type(reply) == 'table' and reply.err then
        -- Before version 7, Redis puts other words before the code.
        if string.find(reply.err, 'OOM', 1, true) then
            return redis.error_reply('OOM there is no memory for the tombstone')
        end
        return reply
    end
end
local was_there = redis.call('DEL', KEYS[1])
redis.call('DEL', KEYS[4])
return left == -2 and was_there or 0
