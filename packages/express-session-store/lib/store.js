'use strict'

const { Store } = require('express-session')
const { isDeepStrictEqual } = require('node:util')

const { AccountIndex } = require('./accounts')
const { Commands, inBatches } = require('./client')
const content = require('./content')
const { SessionStoreError } = require('./errors')
const { globEscaped, sessionKeys } = require('./keys')
const { merge } = require('./merge')
const { LONGEST, DAY, checked } = require('./options')
const scripts = require('./scripts')

// The maximum number of attempts to save a session. Each failed attempt means that another writer has succeeded.
const ATTEMPTS = 256

const HOUR = 3600_000

// How much longer than its session a tombstone is kept. It must be longer than any request that may write the
// session back.
const TOMBSTONE_BEYOND = HOUR

// How long the tombstone of a session that is not stored is kept. It must be longer than a save of the request that made
// the id, because no other request has it. Visitors without a session can make as many tombstones as they like.
const TOMBSTONE_UNSTORED = 5 * 60_000

// The lifetime of a session for which a tombstone is kept at most: browsers keep no cookie for longer.
const LONGEST_SESSION = 400 * DAY * 1000

// How much longer than its session the time of creation is kept, so that a session that another program writes back
// does not count as a new one.
const CREATION_OUTLIVES = 30 * DAY * 1000

// The precision of the time to live, which is in whole seconds.
const CLOCK_STEP = 1000

// Keeps sessions in Redis, in the format of connect-redis and of the crate tower-express-session.
//
// For each session object that it loaded or saved, the store remembers the bytes that Redis has. A save replaces
// exactly these bytes. If another writer has changed them, the changes of both are merged.
class RedisStore extends Store {
  #commands
  #options
  #index
  #counters
  // What is known of a session object: see `#remember`. Nobody sees it, neither JSON nor a loop over the properties.
  #memory = new WeakMap()
  // For each session that is being saved, the last of its saves: a promise of the bytes that it stores.
  #saving = new Map()

  constructor (options = {}) {
    super()
    this.#options = checked(options)
    this.#commands = new Commands(options.client, this.#options.timeout)
    this.#counters = new Set(this.#options.counters)
    this.client = options.client
    this.prefix = this.#options.prefix
    this.#index = new AccountIndex(this.#commands, this.#options, {
      // What is not a session does not keep the others from being found.
      load: (id) => this.get(id).catch((error) => {
        if (error.code !== 'CORRUPT') throw error
        return null
      }),
      end: (id) => this.#end(id),
      pages: () => this.#pages(),
      report: (error) => this.emit('indexError', error)
    })
  }

  // Gives the session with this id, or null.
  get (sid, callback) {
    return settled(this.#get(sid), callback)
  }

  // Saves a session, merged with what other writers have changed since it was loaded.
  set (sid, session, callback) {
    return settled(this.#set(sid, session), callback)
  }

  // Restarts the time to live, if enough of it has passed.
  touch (sid, session, callback) {
    return settled(this.#touch(sid, session), callback)
  }

  // Ends a session, so that no request in progress can save it again.
  destroy (sid, callback) {
    return settled(this.#expire(sid), callback)
  }

  // Gives the number of sessions.
  length (callback) {
    return settled(this.#ids().then((ids) => ids.length), callback)
  }

  // Gives the ids of all sessions.
  ids (callback) {
    return settled(this.#ids(), callback)
  }

  // Gives all sessions, each with its `id`.
  all (callback) {
    return settled(this.#all(), callback)
  }

  // Ends all sessions.
  clear (callback) {
    return settled(this.#clear(), callback)
  }

  // Gives the sessions of an account, the newest first, without their ids.
  list (account, callback) {
    return settled(this.#index.list(account), callback)
  }

  // Ends the account's session with this handle. Gives whether there was one.
  end (account, handle, callback) {
    return settled(this.#index.end(account, handle), callback)
  }

  // Ends all sessions of an account except the one with this id. Gives the number of ended sessions.
  endOthers (account, sid, callback) {
    return settled(this.#index.endOthers(account, sid), callback)
  }

  // Ends all sessions of an account. Gives the number of ended sessions.
  endAll (account, callback) {
    return settled(this.#index.endAll(account), callback)
  }

  // Indexes all stored sessions that are not in the index yet. Gives the number of sessions that have an account.
  reindex (callback) {
    return settled(this.#index.rebuild(), callback)
  }

  // Gives the name under which the owner of a session may see it.
  handle (sid) {
    return this.#index.handle(sid)
  }

  // express-session makes the object `req.session` of what `get` gave, also for `reload`.
  createSession (req, data) {
    const session = super.createSession(req, data)
    const known = this.#memory.get(data)
    if (known) this.#memory.set(session, known)
    return session
  }

  async #get (sid) {
    const { absoluteTimeout: absolute } = this.#options
    const times = absolute ? [absolute * 1000, absolute * 1000 + CREATION_OUTLIVES, CREATION_OUTLIVES] : []
    const keys = absolute ? this.#keys(sid) : this.#keys(sid).slice(0, 2)
    const found = await this.#commands.run(scripts.load, keys, times.map(milliseconds))
    if (!found) return null
    const [stored, left, isFinal] = found
    const session = await this.#read(stored)
    if (!session) return null
    const expires = left < 0 ? Infinity : Date.now() + left
    const account = this.#index.accountOf(session)
    this.#remember(session, { id: sid, stored, seen: String(stored), expires, isFinal: isFinal === 1, account })
    return session
  }

  // Returns a stored session, or null if what is stored is none.
  async #read (stored) {
    try {
      return await content.read(this.#options.serializer, stored)
    } catch {
      // The cause is left out, because its message may show a part of the session.
      this.emit('corrupt')
      if (this.#options.ignoreCorrupt) return null
      throw new SessionStoreError('CORRUPT', 'the stored value must be a session')
    }
  }

  // Remembers of a session object: its `id`, the bytes that Redis has (`stored`), the text of the object when it was
  // last loaded or saved (`seen`), whether other writers' changes were merged into the bytes since then (`isMerged`),
  // the time at which the session `expires`, whether no touch can change that (`isFinal`), and its `account`.
  #remember (session, known) {
    this.#memory.set(session, known)
    return known
  }

  async #set (sid, session) {
    if (typeof session !== 'object' || session === null) throw new TypeError('session must be an object')
    const ttl = this.#ttl(session)
    if (ttl <= 0) return this.#expire(sid)
    const mine = content.written(this.#options.serializer, session)
    // If it fails before its turn, nobody waits for it yet, and Node would end the process.
    mine.catch(() => {})
    const found = this.#memory.get(session)
    const known = found?.id === sid ? found : this.#remember(session, { id: sid })
    return this.#inTurn(known, (stored) => this.#save(known, session, mine, ttl, stored))
  }

  // Runs a save after those of the same session that this process has begun, because at the same time each would only
  // make the others try again. It continues with the bytes that the one before it has stored. If Redis is not
  // available for one of them, it is not for those behind it, so that none waits longer.
  #inTurn (known, save) {
    const { id } = known
    const before = this.#saving.get(id)
    const saved = before ? before.then(save) : save()
    const turn = saved.then(
      () => known.stored,
      (error) => { if (error.code === 'UNAVAILABLE') throw error }
    )
    const leave = () => { if (this.#saving.get(id) === turn) this.#saving.delete(id) }
    this.#saving.set(id, turn)
    turn.then(leave, leave)
    return saved
  }

  async #save (known, session, mine, ttl, latest) {
    const account = this.#index.accountOf(session)
    if (!await this.#write(known, await mine, ttl, latest)) {
      this.emit('gone')
      if (this.#options.failIfGone) throw new SessionStoreError('GONE', 'the session has ended')
      return null
    }
    known.expires = this.#options.disableTTL ? Infinity : Date.now() + ttl * 1000
    if (account !== undefined && account !== known.account) await this.#indexUse(account, known.id, session, ttl)
    known.account = account
    return null
  }

  // Writes a session, over `latest` if these bytes are known to be newer than those that were read. Returns whether the
  // session still exists.
  async #write (known, mine, ttl, latest = known.stored) {
    const { disableTTL, absoluteTimeout: absolute } = this.#options
    const keys = this.#keys(known.id)
    const times = [disableTTL ? '' : ttl * 1000, absolute ? absolute * 1000 : ''].map(milliseconds)
    if (known.stored === undefined) {
      const kept = milliseconds(absolute ? absolute * 1000 + CREATION_OUTLIVES : '')
      if (await this.#commands.run(scripts.create, keys, [mine, ...times, kept]) !== 1) return false
      Object.assign(known, { stored: mine, seen: mine, isMerged: false })
      return true
    }
    if (latest !== known.stored) this.emit('merge')
    let isMerged = known.isMerged || latest !== known.stored
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const value = isMerged ? await this.#merged(known.seen, mine, latest) : mine
      if (value === null) return false
      const answer = await this.#commands.run(scripts.update, keys, [value, ...times, latest])
      if (answer === 0) return false
      if (answer === 1) {
        Object.assign(known, { stored: value, seen: mine, isMerged })
        return true
      }
      this.emit('merge')
      latest = answer
      isMerged = true
    }
    throw new SessionStoreError('CONFLICT', 'other writers changed the session during each attempt to save it')
  }

  // Returns the merged text, or null if what is stored is no session any more.
  async #merged (seen, mine, stored) {
    const { serializer } = this.#options
    const theirs = await this.#read(stored)
    if (!theirs) return null
    const [base, own] = await Promise.all([seen, mine].map((text) => serializer.parse(text)))
    const isSame = serializer === JSON ? hasSameText : isDeepStrictEqual
    return content.written(serializer, merge(base, own, theirs, isSame, this.#counters))
  }

  async #touch (sid, session) {
    const { disableTTL, disableTouch, absoluteTimeout: absolute } = this.#options
    if (disableTTL || disableTouch) return null
    const ttl = this.#ttl(session)
    if (ttl <= 0) return this.#expire(sid)
    const known = this.#memory.get(session)
    const isKnown = known?.id === sid
    if (isKnown && !this.#isTouchDue(known, ttl * 1000)) {
      if (known.isFinal) await this.#indexFinalUse(sid, session, ttl)
      return null
    }
    const times = [ttl * 1000, absolute ? absolute * 1000 : ''].map(milliseconds)
    if (await this.#commands.run(scripts.touch, this.#keys(sid), times) !== 1) {
      this.emit('gone')
      return null
    }
    if (isKnown) known.expires = Date.now() + ttl * 1000
    const account = this.#index.accountOf(session)
    if (account !== undefined) await this.#indexUse(account, sid, session, ttl)
    return null
  }

  // A touch is due after its part of the lifetime, if it prolongs the session, or when the lifetime has become shorter
  // than what is left.
  #isTouchDue ({ expires, isFinal }, lifetime) {
    const left = expires - Date.now()
    return (!isFinal && left < lifetime * (1 - this.#options.touchAfter)) || left > lifetime + CLOCK_STEP
  }

  // Indexes the use of a session that no touch can prolong, as often as one that is touched.
  async #indexFinalUse (sid, session, ttl) {
    const account = this.#index.accountOf(session)
    const { touchAfter } = this.#options
    if (account === undefined || touchAfter === 1 || !this.#index.isUseDue(sid, touchAfter * ttl * 1000)) return
    await this.#indexUse(account, sid, session, ttl)
  }

  // Nothing depends on the index of a session in use, so a failure is only reported.
  async #indexUse (account, sid, session, ttl) {
    try {
      await this.#index.add(account, sid, session, ttl * 1000)
    } catch (error) {
      this.emit('indexError', error)
    }
  }

  async #end (sid) {
    const { ttl } = this.#options
    const shortest = typeof ttl === 'number' ? ttl * 1000 : DAY * 1000
    const times = [shortest, Math.max(LONGEST_SESSION, shortest), TOMBSTONE_BEYOND, TOMBSTONE_UNSTORED]
    return await this.#commands.run(scripts.destroy, this.#keys(sid), times.map(milliseconds)) === 1
  }

  async #expire (sid) {
    await this.#end(sid)
    return null
  }

  async #clear () {
    for await (const ids of this.#pages()) await inBatches(ids, (id) => this.#end(id))
    return null
  }

  async #ids () {
    const found = new Set()
    for await (const ids of this.#pages()) ids.forEach((id) => found.add(id))
    return [...found]
  }

  async #all () {
    const found = new Map()
    for await (const ids of this.#pages()) {
      const sessions = await inBatches(ids, (id) => this.get(id))
      sessions.forEach((session, index) => session && found.set(ids[index], session))
    }
    return [...found].map(([id, session]) => Object.assign(session, { id }))
  }

  // Yields the ids of all sessions, page by page. An id may appear twice.
  async * #pages () {
    const pages = this.#commands.scan(`${globEscaped(this.prefix)}*`, this.#options.scanCount)
    for await (const keys of pages) yield keys.map((key) => key.slice(this.prefix.length))
  }

  #keys (sid) {
    return sessionKeys(this.prefix + sid)
  }

  // Returns the time to live in whole seconds.
  #ttl (session) {
    const { ttl } = this.#options
    const seconds = typeof ttl === 'function' ? ttl(session) : cookieSeconds(session?.cookie) ?? ttl
    if (typeof seconds !== 'number' || Number.isNaN(seconds)) throw new TypeError('ttl must return a number of seconds')
    return Math.min(Math.ceil(seconds), LONGEST)
  }
}

// Returns the seconds until a cookie expires, or undefined if it has no date.
function cookieSeconds (cookie) {
  if (!cookie?.expires) return undefined
  const left = Number(new Date(cookie.expires)) - Date.now()
  if (Number.isNaN(left)) return undefined
  // A touch does not write the cookie, so the date of a session in use may have passed. A cookie that was expired on
  // purpose has no lifetime left.
  const { originalMaxAge } = cookie
  return (left <= 0 && originalMaxAge > 0 ? originalMaxAge : left) / 1000
}

function hasSameText (one, other) {
  return JSON.stringify(one) === JSON.stringify(other)
}

function milliseconds (time) {
  return time === '' ? '' : String(Math.ceil(time))
}

// Passes the result to the callback, if there is one, and returns a promise of it otherwise. What the callback throws
// is not an error of the store.
function settled (promise, callback) {
  if (!callback) return promise
  return promise.then(
    (value) => process.nextTick(callback, null, value),
    (error) => process.nextTick(callback, error)
  )
}

module.exports = { RedisStore }
