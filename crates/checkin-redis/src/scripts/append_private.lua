-- Adds a private check-in to the history that only its user sees, unless it is a retry or a duplicate.
--
-- KEYS: the private history, the comments, the two hashes of idempotency keys, the last check-ins, the status of
-- the account, and the retracted private check-ins.
-- ARGV: duplicate window in ms, time to live of an idempotency key in ms, the location, the stars, the comment
-- or nothing, the digest of the idempotency key or nothing, and the first number for the id.
-- Returns the id, or a word.

local window, life = tonumber(ARGV[1]), tonumber(ARGV[2])
local visit, comment, digest = ARGV[3] .. ' ' .. ARGV[4], ARGV[5], ARGV[6]
-- Of a comment, a key has only a digest, because it outlives the deletion of the check-in.
local content = visit .. ' ' .. (comment ~= '' and redis.sha1hex(comment) or '')
local time = redis.call('TIME')
local now = time[1] .. string.sub('00000' .. time[2], -6, -4)

-- What a deleted account stored now would never be erased.
if redis.call('GET', KEYS[6]) == 'deleted' then return 'behind' end

-- A key has the id and the check-in. An empty value is that of a check-in that Redis refused.
if digest ~= '' then
  for hash = 3, 4 do
    local first, its_content = string.match(redis.call('HGET', KEYS[hash], digest) or '', '^(%S+) (.*)$')
    if first then return its_content == content and 'replayed ' .. first or 'reused' end
  end
end
local last = window > 0 and tonumber(redis.call('HGET', KEYS[5], visit) or '')
if last and now - last < window then return 'duplicate' end

local number, id = tonumber(ARGV[7]), nil
repeat
  id = string.format('%s-%.0f', now, number)
  number = number + 1
until not redis.call('ZSCORE', KEYS[1], id .. ' ' .. visit) and not redis.call('ZSCORE', KEYS[7], id)

-- Redis keeps what a script wrote before it failed, and finds a missing permission only when it comes to the
-- command. So the check-in is added last: what was written before it is taken back.
local keys
local function append()
  if digest ~= '' then
    local turn, life_of_hash = key_turn('\0', now, life)
    keys = KEYS[3 + turn]
    -- The first time, it only shows that it is permitted: otherwise the hash would never expire.
    redis.call('PEXPIRE', keys, life_of_hash)
    redis.call('HSET', keys, digest, id .. ' ' .. content)
    redis.call('PEXPIRE', keys, life_of_hash)
  end
  if window > 0 then
    redis.call('HSET', KEYS[5], visit, now)
    redis.call('PEXPIRE', KEYS[5], ARGV[1])
  end
  if comment ~= '' then redis.call('HSET', KEYS[2], id, comment) end
  redis.call('ZADD', KEYS[1], now, id .. ' ' .. visit)
end

local is_fine, result = pcall(append)
if is_fine then return id end
if keys then redis.pcall('HSET', keys, digest, '') end
if window > 0 then redis.pcall('HSET', KEYS[5], visit, 0) end
if comment ~= '' then redis.pcall('HDEL', KEYS[2], id) end
-- Redis 6.2 has no code in front of some errors.
return {err = string.match(result, '^%u+ .*') or 'ERR ' .. result}
