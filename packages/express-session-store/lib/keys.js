'use strict'

// The keys of a session, all in one slot of a cluster, as the crate tower-express-session names them.

const SLOTS = 16384

const COMPANIONS = ['revoked', 'created', 'epoch']

// Returns the keys in the order in which the scripts expect them: the session, its tombstone, its time of
// creation, its epoch.
function sessionKeys (session) {
  const hasBraces = /[{}]/.test(session)
  return [session, ...COMPANIONS.map((name) => hasBraces ? companion(session, name) : `{${session}}:${name}`)]
}

// Returns a key in the slot of a key with braces. If it has a hash tag, the same one is used; otherwise the tag is a
// number that has the same slot. Without braces, all of the key becomes the hash tag.
function companion (key, name) {
  const tagged = (tag) => `{${tag}}:${name}:${key}`
  const tag = hashTag(key)
  if (tag) return tagged(tag)
  const wanted = hashSlot(key)
  for (let number = 0; ; number++) {
    if (hashSlot(tagged(number)) === wanted) return tagged(number)
  }
}

// Returns the text between the first `{` and the next `}`, if there is any.
function hashTag (key) {
  return key.match(/^[^{]*\{([^}]+)\}/s)?.[1]
}

// Returns the slot of a key: CRC-16/XMODEM of its hash tag, or of the whole key.
function hashSlot (key) {
  let crc = 0
  for (const byte of Buffer.from(hashTag(key) ?? key)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
    crc &= 0xffff
  }
  return crc % SLOTS
}

// Escapes text for a pattern of SCAN, so that it matches only itself.
function globEscaped (text) {
  return text.replace(/[*?[\]\\^-]/g, '\\$&')
}

module.exports = { globEscaped, hashSlot, sessionKeys }
