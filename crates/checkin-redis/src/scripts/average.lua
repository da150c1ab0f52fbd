-- Returns the average number of stars: one decimal, half a tenth rounded up, written as JavaScript writes numbers:
-- 4.5, and 4.
local function average_of(number, stars)
  if number == 0 then return '0' end
  local tenths = math.floor((stars * 20 + number) / (number * 2))
  local average = string.format('%d', math.floor(tenths / 10))
  if tenths % 10 > 0 then average = average .. '.' .. tenths % 10 end
  return average
end

