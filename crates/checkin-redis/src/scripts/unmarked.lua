-- Leaves out retracted check-ins. It is a part of the scripts that apply check-ins.

-- Returns whether any of every `step` keys exists: mostly one command shows that nothing is marked.
local function has_marks(step)
  local marks = {}
  for key = step, #KEYS, step do marks[#marks + 1] = KEYS[key] end
  return redis.call('EXISTS', unpack(marks)) > 0
end

-- Returns those times and members of the arguments from `first` to `last` that are not marked.
local function unmarked(marks, first, last)
  local ids, kept = {}, {}
  for at = first + 1, last, 2 do ids[#ids + 1] = string.match(ARGV[at], '^%S+') end
  for position, mark in ipairs(redis.call('ZMSCORE', marks, unpack(ids))) do
    if not mark then
      local at = first + position * 2 - 2
      kept[#kept + 1], kept[#kept + 2] = ARGV[at], ARGV[at + 1]
    end
  end
  return kept
end

-- Does the same with ids and texts.
local function unmarked_remarks(marks, first, last)
  local kept = {}
  for at = first, last, 2 do
    if not redis.call('ZSCORE', marks, ARGV[at]) then
      kept[#kept + 1], kept[#kept + 2] = ARGV[at], ARGV[at + 1]
    end
  end
  return kept
end

