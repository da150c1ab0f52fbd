-- Takes an attempt to give a password, if the budget allows one: Allowance::take, which a table of cases
-- compares with this.
--
-- KEYS: the budget. ARGV: the number of free attempts, the maximum number or an empty text, the first
-- and the longest wait, the time after which attempts are forgotten, all in ms, and 1 if this time is for
-- each attempt and begins anew with it.
--
-- Returns the number of attempts with this one and the end of the wait for the next; only the wait in ms
-- if there is one now; or nothing if all attempts are used up.

local free, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local first_wait, longest_wait, forgotten = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local count, wait_until = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+) (%d+)$')
count, wait_until = tonumber(count) or 0, tonumber(wait_until) or 0

if most and count >= most then return {} end
if now < wait_until then return {math.min(wait_until - now, longest_wait)} end

count, wait_until = count + 1, 0
if count >= free then wait_until = now + math.min(first_wait * 2 ^ (count - free), longest_wait) end
local value = string.format('%.0f %.0f', count, wait_until)
if ARGV[6] == '1' then
  redis.call('SET', KEYS[1], value, 'PX', string.format('%.0f', forgotten * count))
elseif count == 1 then
  redis.call('SET', KEYS[1], value, 'PX', ARGV[5])
else
  redis.call('SET', KEYS[1], value, 'KEEPTTL')
end
return {count, wait_until}
