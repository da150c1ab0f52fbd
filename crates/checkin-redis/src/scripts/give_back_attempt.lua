-- Gives back an attempt to give a password: Allowance::give_back, which a table of cases compares with
-- this.
--
-- KEYS: the budget. ARGV: the number of free attempts, and the end of the wait that began with the
-- attempt.

local count, wait_until = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%d+)$')
if not count then return end
count = count - 1
if count <= 0 then
  redis.call('DEL', KEYS[1])
  return
end
if count < tonumber(ARGV[1]) or wait_until == ARGV[2] then wait_until = '0' end
redis.call('SET', KEYS[1], string.format('%.0f ', count) .. wait_until, 'KEEPTTL')
