-- Looks for a visit of Swarm, by its Swarm id, or otherwise by its user, location and time. A check-in
-- that belongs to no other visit gets the Swarm id.
--
-- KEYS: the log, the set of check-ins that were imported behind later entries, the set of Swarm visits.
-- ARGV: the user, the location and the time, whether the user's history has it (1 or 0), the
-- maximum number of milliseconds, and the Swarm id, if it has one.
-- Returns -1 if it is stored, or by how many milliseconds later it must be stored.

local user, place, id = ARGV[1], ARGV[2], ARGV[6]

-- Returns whether the user has a check-in at this location and time, of any rating.
local function is_visited(time)
  for stars = 0, 5 do
    local content = table.concat({time, user, place, stars}, ' ')
    if redis.call('SISMEMBER', KEYS[2], content) == 1 then return true end
  end
  for _, entry in ipairs(redis.call('XRANGE', KEYS[1], time, time)) do
    local fields = {}
    for at = 1, #entry[2], 2 do fields[entry[2][at]] = entry[2][at + 1] end
    if fields.userId == user and fields.locationId == place and (fields.time or time) == time then
      return true
    end
  end
  return false
end

if id and redis.call('SISMEMBER', KEYS[3], 'id ' .. user .. ' ' .. id) == 1 then return -1 end
for later = 0, tonumber(ARGV[5]) - 1 do
  local time = string.format('%.0f', tonumber(ARGV[3]) + later)
  local visit = table.concat({'at', time, user, place}, ' ')
  if not id or redis.call('SISMEMBER', KEYS[3], visit) == 0 then
    if not (later == 0 and ARGV[4] == '1' or is_visited(time)) then return later end
    if id then redis.call('SADD', KEYS[3], 'id ' .. user .. ' ' .. id, visit) end
    return -1
  end
end
return -1
