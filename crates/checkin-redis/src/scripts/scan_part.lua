-- Returns a part of a set, after the names of the server and of the next part. A server does not know the cursors that
-- another one returned, or that it returned before it was started again: it would leave members out. So the first part
-- is returned instead.
--
-- KEYS: the set. ARGV: SSCAN or ZSCAN, the number of members, and for any but the first part the two names.

-- An administrator may have renamed INFO.
local info = redis.pcall('INFO', 'server')
local server = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or 'unknown'
local cursor = ARGV[3] == server and ARGV[4] or '0'
local part = redis.call(ARGV[1], KEYS[1], cursor, 'COUNT', ARGV[2])
return {server, part[1], part[2]}
