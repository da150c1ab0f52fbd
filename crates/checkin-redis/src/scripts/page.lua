-- Returns a page of a sorted set, members and scores alternately. It begins after a position, even if
-- the member of the position is elsewhere now.
--
-- KEYS: the sorted set. ARGV: asc or desc, the maximum number of members, and the position's score and member.

local descending = ARGV[1] == 'desc'
local range = descending and 'ZREVRANGE' or 'ZRANGE'

-- Redis orders members of the same score by their bytes; `<` in Lua may follow a locale.
local function less(one, other)
  for at = 1, math.min(#one, #other) do
    local byte, its = string.byte(one, at), string.byte(other, at)
    if byte ~= its then return byte < its end
  end
  return #one < #other
end

local function is_behind(member, position)
  if descending then return less(member, position) end
  return less(position, member)
end

local first = 0
if ARGV[3] then
  local score = ARGV[3]
  if descending then
    first = redis.call('ZCOUNT', KEYS[1], '(' .. score, '+inf')
  else
    first = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. score)
  end
  -- Finds the first member after the position among those of this score.
  local over = first + redis.call('ZCOUNT', KEYS[1], score, score)
  while first < over do
    local middle = math.floor((first + over) / 2)
    local member = redis.call(range, KEYS[1], middle, middle)[1]
    if is_behind(member, ARGV[4]) then over = middle else first = middle + 1 end
  end
end

return redis.call(range, KEYS[1], first, first + ARGV[2] - 1, 'WITHSCORES')
