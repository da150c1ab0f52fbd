-- Appends check-ins in their order, each unless it is a retry or a duplicate, or the log is too long:
-- one step, one round trip for all that wait at the same time.
--
-- KEYS: the log, its checkpoint, its index of times, and of each check-in in turn the marker of an
-- identical check-in, if there is a duplicate window, and the key of its first check-in, if it has an
-- idempotency key.
-- ARGV: duplicate window in ms, time to live of an idempotency key in ms, the maximum backlog, the
-- maximum length of the log, the number of partitions and of this partition, the length of the log and
-- both parts of its last id after the last run of this process, a digit for each check-in, which is 1 if
-- it has an idempotency key, and of each check-in its user, location and stars.
--
-- Returns the length of the log and a result for each check-in: its id if it is stored, otherwise a
-- word. If one fails and is not the first, returns the results of those before it: it and the later ones
-- are not appended, and can be sent again. If the first one fails, its error is that of the script, and
-- none is appended.

-- Maximum number of entries that are removed from the index of times when they leave the log.
local AT_ONCE = 1000

local keys, words, call = KEYS, ARGV, redis.call
local log, checkpoint, times = keys[1], keys[2], keys[3]
local has_window = words[1] ~= '0'
local max_backlog, max_length = tonumber(words[3]), tonumber(words[4])
local partitions, partition = tonumber(words[5]), tonumber(words[6])

local now = now_ms()
local length = call('XLEN', log)
local figures = call('HMGET', checkpoint, 'counted', 'trimmed')
-- Applied entries in the log. Other programs may have trimmed it, too.
local counted = (figures[1] or 0) - (figures[2] or 0)

-- The last id as far as it is known: that of the last run, if nobody else has appended since, otherwise
-- that of the last entry. Redis refuses an id that is not after the last one; then `add` reads it, which
-- costs more.
local last_ms, last_seq, is_certain = words[8], words[9], false
if length ~= tonumber(words[7]) then
  local entry = call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
  last_ms, last_seq = string.match(entry and entry[1] or '0-0', '^(%d+)-(%d+)$')
end

-- Mostly none of the keys of the check-ins exists, and one command for all of them shows it.
local some_exist = #keys > 3 and call('EXISTS', unpack(keys, 4)) > 0
local written = {}

local function trim(gone)
  if call('EXISTS', times) == 1 then
    local members = {}
    for _, entry in ipairs(call('XRANGE', log, '-', '+', 'COUNT', math.min(gone, AT_ONCE))) do
      members[#members + 1] = member(string.match(entry[1], '^(%d+)-(%d+)$'))
    end
    if #members > 0 then call('ZREM', times, unpack(members)) end
  end
  local trimmed = call('XTRIM', log, 'MAXLEN', '=', length - gone)
  call('HINCRBY', checkpoint, 'trimmed', trimmed)
  length, counted = length - trimmed, counted - trimmed
end

-- Adds an entry after the last id. Returns its id; nil if there is none.
local function add(user, location, stars)
  local ms, text, seq = next_id(now, last_ms, last_seq, partitions, partition)
  if not ms then return nil end
  local id = ms .. '-' .. text
  local xadd, added = is_certain and call or redis.pcall, nil
  local is_ahead = less(now, ms)
  if is_ahead then
    -- Another program wrote an entry with an id that it chose, or the clock was set back.
    added = xadd('XADD', log, id,
      'userId', user, 'locationId', location, 'starRating', stars, 'time', now)
  else
    added = xadd('XADD', log, id, 'userId', user, 'locationId', location, 'starRating', stars)
  end
  if added ~= id then
    last_ms, last_seq = last_id(log)
    is_certain = true
    return add(user, location, stars)
  end
  if is_ahead then call('ZADD', times, now, member(ms, text)) end
  length, last_ms, last_seq, is_certain = length + 1, ms, seq, true
  return id
end

local function append(user, location, stars, recent, key)
  if key and (some_exist or written[key]) then
    local remembered = call('GET', key)
    if remembered then
      local first, id = string.match(remembered, '^(.*) (%S+)$')
      if first == user .. ' ' .. location .. ' ' .. stars then return 'replayed ' .. id end
      return 'reused'
    end
  end

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

  local id = add(user, location, stars)
  if not id then return 'used up' end
  if recent then
    call('PSETEX', recent, words[1], now)
    written[recent] = true
  end
  if key then
    call('PSETEX', key, words[2], user .. ' ' .. location .. ' ' .. stars .. ' ' .. id)
    written[key] = true
  end
  return id
end

local results, key_at, at = {0}, 4, 11
for number = 1, #words[10] do
  local recent, key
  if has_window then recent, key_at = keys[key_at], key_at + 1 end
  if string.byte(words[10], number) == 49 then key, key_at = keys[key_at], key_at + 1 end
  local is_fine, result = true, nil
  if number == 1 then
    result = append(words[at], words[at + 1], words[at + 2], recent, key)
  else
    is_fine, result = pcall(append, words[at], words[at + 1], words[at + 2], recent, key)
  end
  if not is_fine then break end
  results[number + 1], at = result, at + 3
end
results[1] = length
return results
