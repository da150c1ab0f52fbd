-- Counts the check-ins of a history by week. It is the beginning of the scripts that apply check-ins.
--
-- ARGV: the number of weeks and their Mondays (ms), before the arguments of the script.

local WEEK_MS = 604800000
local weeks = {}
for at = 2, ARGV[1] + 1 do
  local first = tonumber(ARGV[at])
  local after = first + WEEK_MS
  weeks[#weeks + 1] = {
    first = first, after = after, from = ARGV[at], to = string.format('(%.0f', after),
  }
end
local first_argument = #weeks + 2

-- Appends the number of check-ins in each week, or 0 if the week has none of the times between
-- `earliest` and `latest`.
local function append_weeks(answer, history, earliest, latest)
  for _, week in ipairs(weeks) do
    local count = 0
    if earliest < week.after and latest >= week.first then
      count = redis.call('ZCOUNT', history, week.from, week.to)
    end
    answer[#answer + 1] = count
  end
end

