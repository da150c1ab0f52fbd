'use strict'

// Merges three versions of a session into one.

// Applies the changes from `base` to `mine` to `theirs`, one top-level attribute at a time. Setting and removing
// are both changes. If both sides changed the same attribute, `mine` wins, because it is written last; of two
// numbers that `counters` names, both changes are added. The cookie is that of `mine`, because every request
// restarts its lifetime.
//
// `isSame` compares two values of an attribute. The crate tower-express-session merges in the same way.
function merge (base, mine, theirs, isSame, counters) {
  // A map, because an attribute may have any name, also `__proto__`.
  const merged = new Map(Object.entries(theirs))
  for (const [name, value] of Object.entries(mine)) {
    if (name === 'cookie') {
      merged.set(name, value)
    } else if (!Object.hasOwn(base, name) || !isSame(base[name], value)) {
      merged.set(name, counters.has(name) ? added(base[name] ?? 0, value, theirs[name]) : value)
    }
  }
  for (const name of Object.keys(base)) {
    if (!Object.hasOwn(mine, name)) merged.delete(name)
  }
  return Object.fromEntries(merged)
}

function added (base, mine, theirs) {
  const areNumbers = [base, mine, theirs].every(Number.isFinite)
  return areNumbers ? theirs + mine - base : mine
}

module.exports = { merge }
