'use strict'

// The index of each account's sessions, in the format of the crate tower-express-session: a hash for each account, with
// two fields for each session, so that the time of creation is kept when the rest is written again.

const { createHash } = require('node:crypto')

const { inBatches } = require('./client')
const { SessionStoreError } = require('./errors')
const scripts = require('./scripts')

const CREATED = 'c:'
const SEEN = 's:'

// The maximum number of sessions that are indexed for one account; the oldest are removed first.
const MAX_INDEXED = 100

// The maximum length of an account's name, which is a key of the index.
const MAX_ACCOUNT_BYTES = 512

// The maximum number of characters of the User-Agent header that are kept.
const MAX_DEVICE = 256

// How much longer than its session an entry is kept, in milliseconds.
const KEPT_BEYOND = 3600_000

// The maximum number of sessions of which it is remembered when they were last in use. The oldest are forgotten first.
const MAX_USES = 10_000

// The number of bytes in a handle: enough to distinguish all sessions.
const HANDLE_BYTES = 16

class AccountIndex {
  #commands
  #options
  #sessions
  // When this process last wrote the use of a session: see `isUseDue`.
  #uses = new Map()

  // `sessions` gives access to the sessions themselves: `load(id)`, `end(id)` and `pages()` of ids. `report(error)` is told
  // that the application's function failed.
  constructor (commands, options, sessions) {
    this.#commands = commands
    this.#options = options
    this.#sessions = sessions
  }

  // Returns the account of a session, if it has one.
  accountOf (session) {
    const { account } = this.#options
    if (account === undefined || !session) return undefined
    if (typeof account === 'function') return accountName(this.#called(account, session))
    return accountName(account.split('.').reduce((value, name) => isOwn(value, name) ? value[name] : undefined, session))
  }

  // Calls the application's function. A session for which it fails has no account, because a mistake in it must not end
  // all requests.
  #called (account, session) {
    let cause
    try {
      const found = account(session)
      if (typeof found?.then !== 'function') return found
      // Otherwise Node would end the process if the promise is rejected.
      Promise.resolve(found).catch(() => {})
    } catch (error) {
      cause = error
    }
    this.#sessions.report(new SessionStoreError('ACCOUNT', 'account must return a text or a number', cause))
    return undefined
  }

  // Returns the public name of a session. The id cannot be computed from it.
  handle (id) {
    return createHash('sha256').update(id).digest().subarray(0, HANDLE_BYTES).toString('base64url')
  }

  // Adds a session that is in use. `lifetime` is in milliseconds.
  async add (account, id, session, lifetime) {
    const now = Date.now()
    const device = [...String(session?.req?.headers?.['user-agent'] ?? '')].slice(0, MAX_DEVICE).join('')
    const seen = JSON.stringify({ at: now, device, address: String(session?.req?.ip ?? '') })
    const keep = String(Math.ceil(lifetime + KEPT_BEYOND))
    const fields = await this.#commands.run(
      scripts.index, [this.#key(account)], [CREATED + id, String(now), SEEN + id, seen, keep]
    )
    if (fields > 2 * MAX_INDEXED) await this.#removeOldest(account)
  }

  // Returns whether this process has not written the use of a session for this time, in milliseconds, and counts it as
  // written. For sessions whose time to live does not show when they were last in use.
  isUseDue (id, interval) {
    // A clock that does not jump.
    const now = performance.now()
    if (now - this.#uses.get(id) < interval) return false
    this.#uses.delete(id)
    if (this.#uses.size >= MAX_USES) this.#uses.delete(this.#uses.keys().next().value)
    this.#uses.set(id, now)
    return true
  }

  // Returns the account's sessions that are alive, the newest first. The others are removed from the index.
  async list (given) {
    const account = this.#named(given)
    return (await this.#alive(account)).map(({ id, ...entry }) => ({ handle: this.handle(id), ...entry }))
  }

  async end (given, handle) {
    const account = this.#named(given)
    const found = (await this.#alive(account)).find(({ id }) => this.handle(id) === handle)
    if (!found) return false
    await this.#endEach(account, [found.id])
    return true
  }

  async endOthers (account, kept) {
    if (typeof kept !== 'string') throw new TypeError('sid must be the id of a session')
    return this.endAll(account, kept)
  }

  // Ends the account's sessions except `kept`: those in the index, then those that only a scan of all sessions finds.
  async endAll (given, kept) {
    const account = this.#named(given)
    const entries = await this.#entries(account)
    let ended = await this.#endEach(account, entries.map(({ id }) => id).filter((id) => id !== kept))
    if (this.#options.allAreIndexed) return ended
    for await (const ids of this.#sessions.pages()) {
      ended += await this.#endEach(account, ids.filter((id) => id !== kept))
    }
    return ended
  }

  // Indexes the stored sessions that are not in the index yet. Returns the number of those that have an account.
  async rebuild () {
    this.#checkOption()
    const found = new Set()
    for await (const ids of this.#sessions.pages()) {
      await inBatches(ids, async (id) => {
        const account = this.accountOf(await this.#sessions.load(id))
        if (account === undefined) return
        found.add(id)
        const now = Date.now()
        const key = this.#key(account)
        // An existing entry has more details.
        if (await this.#commands.send(key, 'HEXISTS', key, CREATED + id) === 1) return
        const seen = JSON.stringify({ at: now, device: '', address: '' })
        const keep = String(Math.ceil(this.#lifetime() + KEPT_BEYOND))
        await this.#commands.run(scripts.index, [key], [CREATED + id, String(now), SEEN + id, seen, keep])
      })
    }
    return found.size
  }

  // Returns the name of an account that the application gave. What is no account must not match the sessions without
  // one.
  #named (given) {
    this.#checkOption()
    const account = accountName(given)
    if (account === undefined) {
      throw new TypeError(`account must be a number or a text of 1 to ${MAX_ACCOUNT_BYTES} bytes`)
    }
    return account
  }

  #checkOption () {
    if (this.#options.account === undefined) throw new TypeError('account must be set as an option of the store')
  }

  async #alive (account) {
    const [alive, dead] = [[], []]
    await inBatches(await this.#entries(account), async (entry) => {
      const isAlive = this.accountOf(await this.#sessions.load(entry.id)) === account
      ;(isAlive ? alive : dead).push(entry)
    })
    await this.#remove(account, dead.map(({ id }) => id))
    return alive.sort(newestFirst)
  }

  // Ends those of the sessions that belong to the account. Returns how many there were.
  async #endEach (account, ids) {
    let ended = 0
    const gone = []
    await inBatches(ids, async (id) => {
      if (this.accountOf(await this.#sessions.load(id)) !== account) return
      if (await this.#sessions.end(id)) ended++
      gone.push(id)
    })
    await this.#remove(account, gone)
    return ended
  }

  async #entries (account) {
    const key = this.#key(account)
    const fields = new Map(pairs(await this.#commands.send(key, 'HGETALL', key)))
    const created = [...fields].filter(([field]) => field.startsWith(CREATED))
    return created.map(([field, at]) => {
      const id = field.slice(CREATED.length)
      return { id, createdMs: Number(at), ...lastUse(fields.get(SEEN + id), Number(at)) }
    })
  }

  async #removeOldest (account) {
    const oldest = (await this.#entries(account)).sort(newestFirst).slice(MAX_INDEXED)
    await this.#remove(account, oldest.map(({ id }) => id))
  }

  async #remove (account, ids) {
    if (ids.length === 0) return
    const key = this.#key(account)
    await this.#commands.send(key, 'HDEL', key, ...ids.flatMap((id) => [CREATED + id, SEEN + id]))
  }

  #key (account) {
    return this.#options.accountPrefix + account
  }

  #lifetime () {
    const { ttl } = this.#options
    return (typeof ttl === 'number' ? ttl : 86400) * 1000
  }
}

// Returns the name of an account: a text or the digits of a number. Other values are no account.
function accountName (value) {
  const name = Number.isFinite(value) || typeof value === 'bigint' ? String(value) : value
  return typeof name === 'string' && name !== '' && Buffer.byteLength(name) <= MAX_ACCOUNT_BYTES ? name : undefined
}

function isOwn (value, name) {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
}

// Returns the pairs of a reply that lists names and values: RESP3 may give them as an object or a map.
function pairs (reply) {
  if (reply instanceof Map) return [...reply].map(([name, value]) => [String(name), String(value)])
  if (!Array.isArray(reply)) return Object.entries(reply).map(([name, value]) => [name, String(value)])
  return Array.from({ length: reply.length / 2 }, (_, n) => [String(reply[2 * n]), String(reply[2 * n + 1])])
}

// Returns the details of a session's last use, or what is known without them.
function lastUse (json, createdMs) {
  try {
    const { at, device, address } = JSON.parse(json)
    return { lastSeenMs: Number(at), device: String(device), address: String(address) }
  } catch {
    return { lastSeenMs: createdMs, device: '', address: '' }
  }
}

function newestFirst (one, other) {
  return other.createdMs - one.createdMs || (one.id < other.id ? -1 : 1)
}

module.exports = { AccountIndex }
