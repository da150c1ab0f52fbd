-- Appends check-ins in their order, each unless it is a retry or a duplicate, or the log is too long:
-- one step, one round trip for all that wait at the same time.
--
-- KEYS: the log, its checkpoint, its index of times; of each check-in in turn the marker of an identical
-- check-in, if there is a duplicate window, and, if it has an idempotency key and older versions are
-- considered, the key in which these keep it; and of each that has an idempotency key the two hashes.
-- ARGV: duplicate window in ms, time to live of an idempotency key in ms, the maximum backlog, the
-- maximum length of the log, the number of partitions and of this partition, the length of the log and
-- both parts of its last id after the last run of this process, the number of KEYS between the index of
-- times and the hashes, 1 if older versions are considered, and of each check-in its user, location,
-- stars, its comment or nothing, and the digest of its idempotency key or nothing.
--
-- Returns the length of the log, 1 if older versions must be considered, and a result for each check-in:
-- its id if it is stored, otherwise a word. If one fails and is not the first, returns the results of
-- those before it: it and the later ones are not appended, and can be sent again. If the first one fails,
-- its error is that of the script, and none is appended.
--
-- Redis keeps what a script wrote before it failed, and finds a missing permission only when it comes to
-- the command. So an entry is added last: what was written before it is taken back.

-- Maximum number of entries that are removed from the index of times when they leave the log.
local AT_ONCE = 1000

local keys, words, call = KEYS, ARGV, redis.call
local log, checkpoint, times = keys[1], keys[2], keys[3]
local has_window, life = words[1] ~= '0', tonumber(words[2])
local max_backlog, max_length = tonumber(words[3]), tonumber(words[4])
local partitions, partition = tonumber(words[5]), tonumber(words[6])
local strings, has_old = tonumber(words[10]), words[11] == '1'

local now = now_ms()
local length = call('XLEN', log)
local figures = call('HMGET', checkpoint, 'counted', 'trimmed', 'keys-since')
-- Applied entries in the log. Other programs may have trimmed it, too.
local counted = (figures[1] or 0) - (figures[2] or 0)

-- Older receivers have each idempotency key in a string. They may run for a day after the first receiver
-- that has hashes: meanwhile both are written, and for a day more the strings are read. A new log never
-- had an older receiver. An empty partition of several may be part of an old log: of a new one, what
-- prepared the store has set this.
local since = figures[3]
if not since then
  since = partitions == 1 and length == 0 and not figures[1] and '0' or now
  call('HSET', checkpoint, 'keys-since', since)
end
local writes_old, reads_old = now - since < life, now - since < 2 * life

-- The last id as far as it is known: that of the last run, if nobody else has appended since, otherwise
-- that of the last entry. Redis refuses an id that is not after the last one; then `add` reads it, which
-- costs more.
local last_ms, last_seq, is_certain = words[8], words[9], false
if length ~= tonumber(words[7]) then
  local entry = call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  last_ms, last_seq = string.match(entry and entry[1] or '0-0', '^(%d+)-(%d+)$')
end

-- Mostly none of the strings and all of the hashes exist, and one command for each kind shows it.
local some_exist = strings > 0 and call('EXISTS', unpack(keys, 4, 3 + strings)) > 0
local hashes = #keys - 3 - strings
local all_exist = hashes == 0 or call('EXISTS', unpack(keys, 4 + strings)) == hashes
-- The strings, and by the digests the hashes, that this run has written.
local written = {}

-- How a string has a check-in, and a hash if a number is too large for it, or if it has a comment. The id is
-- the last word. Of a comment there is only a digest, because a key outlives a deleted account.
local function text_of(user, location, stars, comment, id)
  if comment ~= '' then stars = stars .. ' ' .. redis.sha1hex(comment) end
  return user .. ' ' .. location .. ' ' .. stars .. ' ' .. id
end

-- How a hash has a check-in of the user whose key it is: 12 bytes for its id, location and stars.
local function packed(user, location, stars, comment, id, ms, seq)
  local place = location * 6 + stars
  if tonumber(ms) < 2 ^ 48 and seq < 2 ^ 16 and place < 2 ^ 32 and comment == '' then
    return struct.pack('>I2I4I2I4', math.floor(ms / 2 ^ 32), ms % 2 ^ 32, seq, place)
  end
  return text_of(user, location, stars, comment, id)
end

-- Returns the result of a check-in whose idempotency key came before.
local function replayed(remembered, user, location, stars, comment)
  if #remembered == 12 then
    local high, low, seq, place = struct.unpack('>I2I4I2I4', remembered)
    if place ~= location * 6 + stars or comment ~= '' then return 'reused' end
    return string.format('replayed %.0f-%d', high * 2 ^ 32 + low, seq)
  end
  local id = string.match(remembered, '%S+$')
  -- Earlier versions kept the comment itself.
  local earlier = table.concat({user, location, stars, comment, id}, ' ')
  if remembered == text_of(user, location, stars, comment, id) or remembered == earlier then
    return 'replayed ' .. id
  end
  return 'reused'
end

-- An empty value is that of a check-in that could not be appended.
local function known(remembered)
  return remembered ~= '' and remembered
end

local function find(digest, hashes, old)
  local remembered = known(call('HGET', keys[hashes], digest))
    or known(call('HGET', keys[hashes + 1], digest))
  if remembered then return remembered end
  if old and (some_exist or written[old]) then return known(call('GET', old)) end
end

local function remember(digest, hashes, old, user, location, stars, comment, id, ms, seq)
  local turn, life_of_hash = key_turn(digest, now, life)
  local hash = keys[hashes + turn]
  local is_new = not all_exist and call('PTTL', hash) < 0
  -- The first time, it only shows that it is permitted: otherwise the hash would never expire.
  if is_new then call('PEXPIRE', hash, life_of_hash) end
  call('HSET', hash, digest, packed(user, location, stars, comment, id, ms, seq))
  written[digest] = hash
  if is_new then call('PEXPIRE', hash, life_of_hash) end
  if old and writes_old then
    call('PSETEX', old, words[2], text_of(user, location, stars, comment, id))
    written[old] = true
  end
end

-- The number of entries by which the checkpoint is ahead of the log.
local leaving = 0

-- Takes back what was written for a check-in that could not be appended. Each command was permitted a
-- moment ago.
local function take_back(recent, digest, old)
  if leaving > 0 then call('HINCRBY', checkpoint, 'trimmed', -leaving) end
  if written[digest] then call('HSET', written[digest], digest, '') end
  if written[old] then call('PSETEX', old, 1, '') end
  if written[recent] then call('PSETEX', recent, 1, '') end
end

local function trim(gone)
  local members = {}
  if call('EXISTS', times) == 1 then
    for _, entry in ipairs(call('XRANGE', log, '-', '+', 'COUNT', math.min(gone, AT_ONCE))) do
      members[#members + 1] = member(string.match(entry[1], '^(%d+)-(%d+)$'))
    end
  end
  call('HINCRBY', checkpoint, 'trimmed', gone)
  leaving = gone
  call('XTRIM', log, 'MAXLEN', '=', length - gone)
  leaving = 0
  length, counted = length - gone, counted - gone
  if #members > 0 then call('ZREM', times, unpack(members)) end
end

-- Adds an entry after the last id, and everything else that belongs to it before it. Returns its id; nil
-- if there is none.
local function add(user, location, stars, comment, recent, digest, hashes, old)
  local ms, text, seq = next_id(now, last_ms, last_seq, partitions, partition)
  if not ms then return nil end
  -- Another program wrote an entry with an id that it chose, or the clock was set back.
  local is_ahead = less(now, ms)
  if is_ahead and not is_certain then
    last_ms, last_seq = last_id(log)
    is_certain = true
    return add(user, location, stars, comment, recent, digest, hashes, old)
  end
  local id = ms .. '-' .. text
  if hashes then remember(digest, hashes, old, user, location, stars, comment, id, ms, seq) end
  if recent then
    call('PSETEX', recent, words[1], now)
    written[recent] = true
  end
  local xadd, added = is_certain and call or redis.pcall, nil
  if is_ahead then call('ZADD', times, now, member(ms, text)) end
  if is_ahead or comment ~= '' then
    local more = {}
    if is_ahead then more = {'time', now} end
    if comment ~= '' then more[#more + 1], more[#more + 2] = 'comment', comment end
    added = xadd('XADD', log, id,
      'userId', user, 'locationId', location, 'starRating', stars, unpack(more))
  else
    added = xadd('XADD', log, id, 'userId', user, 'locationId', location, 'starRating', stars)
  end
  if added ~= id then
    last_ms, last_seq = last_id(log)
    is_certain = true
    return add(user, location, stars, comment, recent, digest, hashes, old)
  end
  length, last_ms, last_seq, is_certain = length + 1, ms, seq, true
  return id
end

local function append(user, location, stars, comment, recent, digest, hashes, old)
  local remembered = hashes and find(digest, hashes, old)
  if remembered then return replayed(remembered, user, location, stars, comment) end

  -- The marker holds the time of the check-in, and not only a time to live, because windows may differ.
  if recent and (some_exist or written[recent]) then
    local last = tonumber(call('GET', recent) or '')
    if last and now - last < tonumber(words[1]) then return 'duplicate' end
  end

  if length - counted >= max_backlog then return 'behind' end
  if length >= max_length then
    local over = math.min(length - max_length + 1, counted)
    if over <= 0 or length - over >= max_length then return 'behind' end
    trim(over)
  end

  local id = add(user, location, stars, comment, recent, digest, hashes, old)
  if id then return id end
  take_back(recent, digest, old)
  return 'used up'
end

local results, string_at, hashes_at = {0, reads_old and 1 or 0}, 4, 4 + strings
for at = 12, #words, 5 do
  local user, location, stars, comment, digest = unpack(words, at, at + 4)
  local recent, hashes, old
  if has_window then recent, string_at = keys[string_at], string_at + 1 end
  if digest ~= '' then
    hashes, hashes_at = hashes_at, hashes_at + 2
    if has_old then old, string_at = keys[string_at], string_at + 1 end
  end
  local is_fine, result = pcall(append, user, location, stars, comment, recent, digest, hashes, old)
  if not is_fine then
    pcall(take_back, recent, digest, old)
    -- Redis 6.2 has no code in front of some errors.
    if at == 12 then return {err = string.match(result, '^%u+ .*') or 'ERR ' .. result} end
    break
  end
  results[#results + 1] = result
end
results[1] = length
return results
