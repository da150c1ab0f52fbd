-- Adds a private check-in to the history that only its user sees, unless it is a retry or a duplicate.
--
-- KEYS: the private history, the comments, the two hashes of idempotency keys, the last check-ins, and the
-- status of the account.
-- ARGV: duplicate window in ms, time to live of an idempotency key in ms, the location, the stars, the comment
-- or nothing, the digest of the idempotency key or nothing, and the sequence number of the id.
-- Returns the id, or a word.

local window, life = tonumber(ARGV[1]), tonumber(ARGV[2])
local visit, comment, digest = ARGV[3] .. ' ' .. ARGV[4], ARGV[5], ARGV[6]
local time = redis.call('TIME')
local now = time[1] .. string.sub('00000' .. time[2], -6, -4)
local id = now .. '-' .. ARGV[7]

-- What a deleted account stored now would never be erased.
if redis.call('GET', KEYS[6]) == 'deleted' then return 'behind' end

-- A key has the id and the check-in. An empty value is that of a check-in that Redis refused.
if digest ~= '' then
  for hash = 3, 4 do
    local first, content = string.match(redis.call('HGET', KEYS[hash], digest) or '', '^(%S+) (.*)$')
    if first then return content == visit .. ' ' .. comment and 'replayed ' .. first or 'reused' end
  end
end
local last = window > 0 and tonumber(redis.call('HGET', KEYS[5], visit) or '')
if last and now - last < window then return 'duplicate' end

local keys
if digest ~= '' then
  local turn, life_of_hash = key_turn('\0', now, life)
  keys = KEYS[3 + turn]
  redis.call('HSET', keys, digest, id .. ' ' .. visit .. ' ' .. comment)
  redis.call('PEXPIRE', keys, life_of_hash)
end
if window > 0 then
  redis.call('HSET', KEYS[5], visit, now)
  redis.call('PEXPIRE', KEYS[5], ARGV[1])
end
if comment ~= '' then redis.call('HSET', KEYS[2], id, comment) end

-- Last: Redis keeps what a script wrote before it refused a command.
local added = redis.pcall('ZADD', KEYS[1], now, id .. ' ' .. visit)
if added == 1 then return id end
if digest ~= '' then redis.call('HSET', keys, digest, '') end
if window > 0 then redis.call('HSET', KEYS[5], visit, 0) end
return added
