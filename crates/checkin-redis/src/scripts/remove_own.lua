-- Removes the members of a user from a part of a set. Returns the names of the server and of the next part, which is 0
-- after the last one. The members are not sent to us: of a small set, Redis scans all at once, whatever the count is.
--
-- A server does not know the cursors that another one returned, or that it returned before it was started again: it
-- would leave members out. So it begins with the first part instead.
--
-- Of retracted check-ins, which are in a sorted set, the ids stay, without the user: whoever moves the checkpoint has to
-- know that entries of a batch that was read before are not in the log any more.
--
-- KEYS: the set. ARGV: SSCAN or ZSCAN, the number of members, the user, and for any but the first part the two names.

local key = KEYS[1]
local scan, count, user, known, cursor = unpack(ARGV)
-- No user has this id.
local nobody = '0'

-- An administrator may have renamed INFO.
local info = redis.pcall('INFO', 'server')
local server = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or 'unknown'
if known ~= server then cursor = '0' end

local found = redis.call(scan, key, cursor, 'COUNT', count)
local has_scores = scan == 'ZSCAN'
for at = 1, #found[2], has_scores and 2 or 1 do
  local member = found[2][at]
  -- The user is the second word, or the third one behind `at`.
  local first, second, third = string.match(member, '^(%S+) (%S+) ?(%S*)')
  if (first == 'at' and third or second) == user then
    if has_scores then
      redis.call('ZADD', key, string.match(first, '^%d+'), first .. ' ' .. nobody)
      redis.call('ZREM', key, member)
    else
      redis.call('SREM', key, member)
    end
  end
end
return {server, found[1]}
