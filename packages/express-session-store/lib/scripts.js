'use strict'

// The scripts that run in Redis, each in one atomic step. They need no more than Redis 6.2.
//
// KEYS are those of `sessionKeys`: the session, its tombstone, its time of creation, its epoch. All times are in
// milliseconds. The time to live, the absolute timeout and the time for which the time of creation is kept are
// empty if there is none.

const { createHash } = require('node:crypto')

const CLOCK = `
local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function text(number) return string.format('%.0f', number) end
`

// Returns the time to live within the absolute timeout: false without end, 0 or less if the session is over.
const LIFE = `
local function life(ttl, absolute)
  local created = absolute ~= '' and tonumber(redis.call('GET', KEYS[3]))
  ttl = tonumber(ttl)
  if not created then return ttl end
  local left = created + absolute - now()
  return ttl and math.min(ttl, left) or left
end
-- Redis refuses the first write of a script when it is out of memory, so this has to be the first one.
local function store(value, ttl)
  if not ttl then
    redis.call('SET', KEYS[1], value)
    redis.call('PERSIST', KEYS[4])
  else
    redis.call('SET', KEYS[1], value, 'PX', text(ttl))
    redis.call('PEXPIRE', KEYS[4], text(ttl))
  end
end
`

// Returns a session, the rest of its time to live (-1 if it has no end), and 1 if no touch can prolong it, unless it has a
// tombstone or has reached its absolute timeout. A session that another program created counts as created now.
//
// ARGV: the absolute timeout, the time for which the time of creation is kept, the lifetime of a tombstone. Without an
// absolute timeout there are none, and the first two keys are enough.
//
// For a value of another type it returns a number in place of the session.
const LOAD = `
-- A read does not fail because Redis accepts no write at the moment.
local function try(...)
  local reply = redis.pcall(...)
  if type(reply) ~= 'table' or not reply.err then return end
  for _, code in ipairs({ 'OOM', 'READONLY', 'MISCONF', 'NOREPLICAS' }) do
    if string.find(reply.err, code, 1, true) then return end
  end
  error(reply.err)
end
local value = redis.pcall('GET', KEYS[1])
if type(value) == 'table' then
  if string.find(value.err, 'WRONGTYPE', 1, true) then return { 0, 0 } end
  return value
end
if not value then
  -- Only a primary can tell that there is no session: a replica may be empty while it is filled. A replica alone refuses
  -- a write with this error; on a primary it changes nothing.
  local reply = redis.pcall('DEL', KEYS[1])
  if type(reply) == 'table' and string.find(reply.err, 'READONLY', 1, true) then return reply end
  return false
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  try('DEL', KEYS[1])
  return false
end
local left = redis.call('PTTL', KEYS[1])
if not ARGV[1] then return { value, left } end
local created = tonumber(redis.call('GET', KEYS[3]))
if not created then
  created = now()
  try('SET', KEYS[3], text(created), 'PX', ARGV[2])
end
local life_left = created + ARGV[1] - now()
if life_left <= 0 then
  try('DEL', KEYS[1], KEYS[3], KEYS[4])
  try('SET', KEYS[2], '1', 'PX', ARGV[3])
  return false
end
-- Redis may have rounded it.
local is_final = left >= life_left - 1000
if is_final then left = life_left end
return { value, left, is_final and 1 or 0 }
`

// Creates or replaces a session that the writer has not read. Returns 1, or 0 if the session has ended.
//
// ARGV: the value, the time to live, the absolute timeout, the time for which the time of creation is kept.
const CREATE = `
if redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('DEL', KEYS[1])
  return 0
end
local is_new = redis.call('EXISTS', KEYS[1]) == 0
-- What is left of an earlier session with this id does not count.
local ttl = tonumber(ARGV[2])
if not is_new then
  ttl = life(ARGV[2], ARGV[3])
elseif ARGV[3] ~= '' then
  ttl = math.min(ttl or math.huge, ARGV[3])
end
if ttl and ttl <= 0 then return 0 end
store(ARGV[1], ttl)
if is_new then redis.call('DEL', KEYS[3], KEYS[4]) end
if ARGV[3] ~= '' then redis.call('SET', KEYS[3], text(now()), 'NX', 'PX', ARGV[4]) end
return 1
`

// Replaces a session's value if it is still the bytes that the writer read. Returns 1 if it was replaced, 0 if the
// session has ended, and otherwise the current bytes.
//
// ARGV: the value, the time to live, the absolute timeout, the bytes read.
const UPDATE = `
if redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('DEL', KEYS[1])
  return 0
end
local current = redis.call('GET', KEYS[1])
if not current then return 0 end
local ttl = life(ARGV[2], ARGV[3])
if ttl and ttl <= 0 then return 0 end
if current ~= ARGV[4] then return current end
store(ARGV[1], ttl)
return 1
`

// Restarts a session's time to live. Returns 1, or 0 if the session has ended.
//
// ARGV: the time to live, the absolute timeout.
const TOUCH = `
if redis.call('EXISTS', KEYS[2]) == 1 then
  redis.call('DEL', KEYS[1])
  return 0
end
local ttl = life(ARGV[1], ARGV[2])
if ttl <= 0 then return 0 end
redis.call('PEXPIRE', KEYS[4], text(ttl))
return redis.call('PEXPIRE', KEYS[1], text(ttl))
`

// Ends a session and leaves a tombstone, which lives longer than a value that another program writes back. Without
// memory for the tombstone the session ends nevertheless. Returns 1 if there was a session, otherwise 0.
//
// ARGV: the shortest and the longest lifetime of the session, how much longer the tombstone is kept, and how long it is
// kept if there is no session.
const DESTROY = `
local revoked = redis.call('PTTL', KEYS[2])
local keep = tonumber(ARGV[4])
if redis.call('EXISTS', KEYS[1]) == 1 then
  keep = math.max(ARGV[1], redis.call('PTTL', KEYS[1]))
  local value = redis.pcall('GET', KEYS[1])
  if type(value) == 'string' then
    local is_json, session = pcall(cjson.decode, value)
    local cookie = is_json and type(session) == 'table' and session.cookie
    local age = type(cookie) == 'table' and tonumber(cookie.originalMaxAge)
    if age then keep = math.max(keep, age) end
  end
  keep = math.min(keep, ARGV[2]) + ARGV[3]
end
redis.pcall('SET', KEYS[2], '1', 'PX', text(math.max(keep, revoked)))
local was_there = redis.call('DEL', KEYS[1])
redis.call('DEL', KEYS[4])
return revoked == -2 and was_there or 0
`

// Indexes a session of an account. An existing time of creation is kept, and the index expires after the longest
// time that was requested. Returns the number of fields in the index.
//
// KEYS: the account. ARGV: the field and the value of the session's creation, those of its last use, and how long to
// keep the index.
const INDEX = `
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[5]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
return redis.call('HLEN', KEYS[1])
`

function script (...parts) {
  const source = parts.join('').trim()
  return { source, hash: createHash('sha1').update(source).digest('hex') }
}

module.exports = {
  create: script(CLOCK, LIFE, CREATE),
  destroy: script(CLOCK, DESTROY),
  index: script(INDEX),
  load: script(CLOCK, LOAD),
  touch: script(CLOCK, LIFE, TOUCH),
  update: script(CLOCK, LIFE, UPDATE)
}
