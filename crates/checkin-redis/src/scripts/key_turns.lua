-- Hashes of idempotency keys take turns in pairs, each for somewhat more than the life of a key, and a hash
-- expires before its next turn: a key is kept for its life at least. The turns begin at other times for each
-- first byte of a digest, so that Redis never deletes many keys at once.

-- How much sooner a hash expires than its turn comes again.
local MARGIN_MS = 60000

-- Returns which hash of a pair has its turn, 0 or 1, and for how long it lives (ms).
local function key_turn(digest, now, life)
  local period = life + MARGIN_MS
  local shift = math.floor(string.byte(digest) * period / 256)
  local turn = math.floor((now + shift) / period)
  return turn % 2, (turn + 2) * period - shift - MARGIN_MS - now
end

