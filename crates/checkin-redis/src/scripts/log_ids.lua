-- The ids of a log. Their parts are text here, because numbers in Lua are exact only up to 2^53.

local MAX_EXACT = 9007199254740991

local function now_ms()
  local time = redis.call('TIME')
  return time[1] .. string.sub('00000' .. time[2], -6, -4)
end

local function less(one, other)
  if #one ~= #other then return #one < #other end
  return one < other
end

-- Returns the last id of the log, even if its entry was removed.
local function last_id(log)
  if redis.call('EXISTS', log) == 0 then return '0', '0' end
  local stream = redis.call('XINFO', 'STREAM', log)
  for at = 1, #stream, 2 do
    if stream[at] == 'last-generated-id' then
      return string.match(stream[at + 1], '^(%d+)-(%d+)$')
    end
  end
end

-- Returns the first id at `ms` or later that is after the last one, and its sequence number as a number;
-- nil if there is none. Each partition has its own sequence numbers, so that no two entries of the log
-- have the same id.
local function next_id(ms, last_ms, last_seq, partitions, partition)
  local seq = -1
  if not less(last_ms, ms) then
    ms, seq = last_ms, tonumber(last_seq)
    if seq > MAX_EXACT - 2 * partitions then
      if tonumber(ms) >= MAX_EXACT then return nil end
      ms, seq = string.format('%.0f', tonumber(ms) + 1), -1
    end
  end
  seq = (math.floor(seq / partitions) + 1) * partitions + partition
  -- The first format is much cheaper, but not all platforms have such large integers.
  return ms, string.format(seq < 2147483648 and '%d' or '%.0f', seq), seq
end

-- Returns the member of an entry in the index of times: equal times are in the order of their ids.
local function member(ms, seq)
  return string.rep('0', 20 - #ms) .. ms .. '-' .. string.rep('0', 20 - #seq) .. seq
end
