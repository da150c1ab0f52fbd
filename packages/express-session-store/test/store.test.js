'use strict'

// The methods of the store, with each client, on one server and on a cluster.

const assert = require('node:assert/strict')
const { before, describe, it } = require('node:test')

const connectRedis = require('connect-redis')
const connectRedis10 = require('connect-redis-10')
const { SessionStoreError } = require('..')
const {
  CLIENTS, CLUSTER_CLIENTS, RedisStore, SENTINEL_CLIENTS, commands, cookie, startCluster, startRedis, startSentinel
} = require('./support')

// A store with what the tests ask about it: its events, and any command on the server that has the key.
function open (client, options) {
  const events = []
  const store = new RedisStore({ client, ...options })
  for (const name of ['gone', 'merge', 'corrupt', 'indexError']) store.on(name, () => events.push(name))
  return { store, events }
}

const tombstone = (key) => `{${key}}:revoked`

function suite (connect) {
  let client, call
  let number = 0
  const nextId = () => `id-${number++}`

  before(async () => { ({ client, call } = await connect()) })

  it('writes the same bytes as connect-redis, for the same time', async () => {
    const { store } = open(client)
    const sid = nextId()
    const session = { cookie: cookie(), user: 'a@example.com', 2: 'y', n: 1.5, text: 'é\u2028\ud800' }
    await store.set(sid, session)
    assert.equal(await call('GET', `sess:${sid}`), JSON.stringify(session))
    const ttl = await call('TTL', `sess:${sid}`)
    assert.ok(ttl > 86390 && ttl <= 86400, ttl)
    assert.deepEqual(await store.get(sid), JSON.parse(JSON.stringify(session)))
  })

  it('takes the time to live of the cookie, of the option or of the function', async () => {
    const inTenMinutes = { cookie: cookie({ originalMaxAge: 600000, expires: new Date(Date.now() + 600000) }) }
    for (const [options, session, expected] of [
      [{}, inTenMinutes, 600],
      [{ ttl: 50 }, { cookie: cookie() }, 50],
      [{ ttl: 50 }, inTenMinutes, 600],
      [{ ttl: 0 }, { cookie: cookie() }, 86400],
      [{ ttl: () => 70.5 }, inTenMinutes, 71]
    ]) {
      const sid = nextId()
      await open(client, options).store.set(sid, session)
      const ttl = await call('TTL', `sess:${sid}`)
      assert.ok(ttl > expected - 5 && ttl <= expected, `${ttl} of ${expected}`)
    }
  })

  it('keeps sessions without a time to live', async () => {
    const { store } = open(client, { disableTTL: true })
    const sid = nextId()
    await store.set(sid, { cookie: cookie() })
    const session = await store.get(sid)
    await store.touch(sid, session)
    await store.set(sid, { ...session, a: 1 })
    assert.equal(await call('TTL', `sess:${sid}`), -1)
  })

  it('ends a session whose cookie has expired', async () => {
    const { store } = open(client)
    const sid = nextId()
    await store.set(sid, { cookie: cookie() })
    await store.set(sid, { cookie: cookie({ expires: new Date(0) }) })
    assert.equal(await store.get(sid), null)
    assert.equal(await call('EXISTS', tombstone(`sess:${sid}`)), 1)
  })

  it('saves a session whose stored date has passed because it was only touched', async () => {
    const { store } = open(client)
    const sid = nextId()
    const stale = { cookie: cookie({ originalMaxAge: 60000, expires: new Date(Date.now() - 1000).toISOString() }) }
    await call('SET', `sess:${sid}`, JSON.stringify(stale), 'EX', 60)
    const session = await store.get(sid)
    session.a = 1
    await store.set(sid, session)
    assert.equal((await store.get(sid)).a, 1)
  })

  it('merges the changes of two writers', async () => {
    const { store, events } = open(client)
    const sid = nextId()
    await store.set(sid, { cookie: cookie(), a: 1, b: 1, c: 1 })
    const [one, two] = [await store.get(sid), await store.get(sid)]
    one.a = 2
    delete one.c
    two.b = 2
    two.d = 4
    await store.set(sid, one)
    await store.set(sid, two)
    assert.equal(await call('GET', `sess:${sid}`), JSON.stringify({ cookie: cookie(), a: 2, b: 2, d: 4 }))
    assert.deepEqual(events, ['merge'])
    // The object continues from what it was, not from what it was merged into.
    two.b = 3
    await store.set(sid, two)
    assert.deepEqual(await store.get(sid), { cookie: cookie(), a: 2, b: 3, d: 4 })
  })

  it('keeps the changes of parallel saves of one object in their order', async () => {
    const { store } = open(client, { counters: ['n'] })
    const sid = nextId()
    const session = { cookie: cookie() }
    const saves = []
    for (let n = 1; n <= 10; n++) {
      session.n = n
      saves.push(store.set(sid, session))
    }
    await Promise.all(saves)
    assert.equal((await store.get(sid)).n, 10)
  })

  it('adds the changes of counters', async () => {
    const { store } = open(client, { counters: ['n', 'text'] })
    const sid = nextId()
    await store.set(sid, { cookie: cookie(), text: 'a', other: 0 })
    const sessions = await Promise.all(Array.from({ length: 20 }, () => store.get(sid)))
    await Promise.all(sessions.map((session) => {
      session.n = (session.n ?? 0) + 1
      session.other += 1
      session.text = 'b'
      return store.set(sid, session)
    }))
    assert.deepEqual(await store.get(sid), { cookie: cookie(), text: 'b', other: 1, n: 20 })
  })

  it('compares bytes, also those that are no text', async () => {
    const { store, events } = open(client)
    const sid = nextId()
    const bytes = Buffer.from(JSON.stringify({ cookie: cookie(), a: 'x' }).replace('"x"', '"\xff"'), 'latin1')
    await call.raw('SET', `sess:${sid}`, bytes)
    const session = await store.get(sid)
    session.b = 1
    await store.set(sid, session)
    assert.deepEqual(await store.get(sid), { cookie: cookie(), a: '\ufffd', b: 1 })
    assert.deepEqual(events, [])
  })

  it('merges what another serializer makes', async () => {
    const serializer = {
      stringify: (session) => Buffer.from(JSON.stringify(session)).toString('base64'),
      parse: async (text) => JSON.parse(Buffer.from(text, 'base64').toString())
    }
    const { store } = open(client, { serializer })
    const sid = nextId()
    await store.set(sid, { cookie: cookie(), a: 1 })
    const [one, two] = [await store.get(sid), await store.get(sid)]
    await store.set(sid, Object.assign(one, { b: 2 }))
    await store.set(sid, Object.assign(two, { c: 3 }))
    assert.deepEqual(await store.get(sid), { cookie: cookie(), a: 1, b: 2, c: 3 })
    await store.destroy(sid)
    assert.equal(await store.get(sid), null)
  })

  it('does not restore an ended session', async () => {
    const { store, events } = open(client)
    const strict = open(client, { failIfGone: true }).store
    const sid = nextId()
    const key = `sess:${sid}`
    const fresh = { cookie: cookie(), a: 1 }
    await store.set(sid, fresh)
    const [loaded, other] = [await store.get(sid), await strict.get(sid)]
    await store.destroy(sid)
    assert.equal(await call('GET', tombstone(key)), '1')
    const ttl = await call('TTL', tombstone(key))
    assert.ok(ttl > 89990 && ttl <= 90000, ttl)
    for (const session of [loaded, fresh, { cookie: cookie(), never: 'loaded' }]) {
      session.b = 1
      assert.equal(await store.set(sid, session), null)
      assert.equal(await call('EXISTS', key), 0)
    }
    other.a = 2
    await assert.rejects(strict.set(sid, other), { code: 'GONE' })
    assert.deepEqual(events, ['gone', 'gone', 'gone'])
    // Another program writes it back without comparing.
    for (const use of [() => store.get(sid), () => store.touch(sid, { cookie: cookie() }), () => store.set(sid, loaded)]) {
      await call('SET', key, JSON.stringify(loaded))
      assert.equal(await use(), null)
      assert.equal(await call('EXISTS', key), 0)
    }
  })

  it('does not restore a session that has expired or was deleted', async () => {
    const { store, events } = open(client)
    const sid = nextId()
    await store.set(sid, { cookie: cookie() })
    const session = await store.get(sid)
    await call('DEL', `sess:${sid}`)
    session.a = 1
    await store.set(sid, session)
    await store.set(sid, session)
    await store.touch(sid, session)
    assert.equal(await call('EXISTS', `sess:${sid}`), 0)
    assert.equal(events.filter((event) => event === 'gone').length, events.length)
  })

  it('keeps a tombstone for longer than a session that is written back', async () => {
    const { store } = open(client)
    const month = 30 * 86400
    const sid = nextId()
    await call('SET', `sess:${sid}`, JSON.stringify({ cookie: cookie({ originalMaxAge: month * 1000 }) }), 'EX', 10)
    await store.destroy(sid)
    const ttl = await call('TTL', tombstone(`sess:${sid}`))
    assert.ok(ttl > month + 3590 && ttl <= month + 3600, ttl)
  })

  it('touches a session after a part of its lifetime', async () => {
    const { store } = open(client, { ttl: 1000 })
    for (const [left, isTouched] of [[950, false], [890, true], [1100, true], [-1, true]]) {
      const sid = nextId()
      await call('SET', `sess:${sid}`, JSON.stringify({ cookie: cookie() }))
      if (left > 0) await call('EXPIRE', `sess:${sid}`, left)
      await store.touch(sid, await store.get(sid))
      const ttl = await call('TTL', `sess:${sid}`)
      assert.equal(ttl > 990 && ttl <= 1000, isTouched, `${left}: ${ttl}`)
    }
    const sid = nextId()
    await call('SET', `sess:${sid}`, JSON.stringify({ cookie: cookie() }), 'EX', 5)
    await open(client, { disableTouch: true }).store.touch(sid, { cookie: cookie() })
    assert.ok(await call('TTL', `sess:${sid}`) <= 5)
  })

  it('keeps the epoch that the crate gave a session', async () => {
    const { store } = open(client, { ttl: 1000 })
    const sid = nextId()
    const epoch = `{sess:${sid}}:epoch`
    await call('SET', `sess:${sid}`, JSON.stringify({ cookie: cookie() }), 'EX', 100)
    await call('SET', epoch, '7', 'EX', 100)
    const session = await store.get(sid)
    await store.touch(sid, session)
    assert.ok(await call('TTL', epoch) > 990)
    await call('EXPIRE', epoch, 100)
    session.a = 1
    await store.set(sid, session)
    assert.ok(await call('TTL', epoch) > 990)
    await store.destroy(sid)
    assert.equal(await call('EXISTS', epoch), 0)
  })

  it('ends a session at its absolute timeout', async () => {
    const { store, events } = open(client, { ttl: 1000, absoluteTimeout: 2000 })
    const sid = nextId()
    const created = `{sess:${sid}}:created`
    await store.set(sid, { cookie: cookie() })
    const session = await store.get(sid)
    const since = Number(await call('GET', created))
    assert.ok(Math.abs(since - Date.now()) < 60000)
    await call('SET', created, since - 1700_000, 'KEEPTTL')
    session.a = 1
    await store.set(sid, session)
    assert.ok(await call('TTL', `sess:${sid}`) <= 300)
    await call('SET', created, since - 1800_000, 'KEEPTTL')
    await store.touch(sid, { cookie: cookie() })
    assert.ok(await call('TTL', `sess:${sid}`) <= 200)
    await call('SET', created, since - 2000_000, 'KEEPTTL')
    await store.set(sid, session)
    assert.deepEqual(events, ['gone'])
    assert.equal(await store.get(sid), null)
    assert.equal(await call('EXISTS', tombstone(`sess:${sid}`)), 1)
    // The time of a session that another program created begins when it is read.
    const other = nextId()
    await call('SET', `sess:${other}`, JSON.stringify({ cookie: cookie() }))
    assert.ok(await store.get(other))
    assert.equal(await call('EXISTS', `{sess:${other}}:created`), 1)
  })

  it('treats a value that is no session as no session, or fails', async () => {
    const { store, events } = open(client)
    const strict = open(client, { ignoreCorrupt: false }).store
    const sid = nextId()
    for (const text of ['x', '1', '"s"', '[]', '{}', '{"cookie":null}', '{"cookie":"abc"}', '{"cookie":{"originalMaxAge":"1"}}']) {
      await call('SET', `sess:${sid}`, text)
      assert.equal(await store.get(sid), null)
      await assert.rejects(strict.get(sid), (error) => error.code === 'CORRUPT' && error.cause === undefined)
    }
    assert.equal(events.length, 8)
    await call('SET', `sess:${sid}`, '{"cookie":0,"a":1}')
    assert.equal((await strict.get(sid)).a, 1)
    for (const text of ['', 'null', '0', 'false']) {
      await call('SET', `sess:${sid}`, text)
      assert.equal(await strict.get(sid), null)
    }
  })

  it('calls callbacks, also with errors', async () => {
    const { store } = open(client, { ttl: () => 'soon' })
    const sid = nextId()
    const called = (act) => new Promise((resolve) => act((...results) => resolve(results)))
    assert.deepEqual(await called((done) => store.get(sid, done)), [null, null])
    const [error] = await called((done) => store.set(sid, { cookie: cookie() }, done))
    assert.equal(error.message, 'ttl must return a number of seconds')
    assert.deepEqual(await called((done) => store.destroy(sid, done)), [null, null])
  })

  it('gives all sessions, their ids and their number, and ends them', async () => {
    const { store } = open(client, { prefix: '[all]*:', scanCount: 7 })
    const { store: other } = open(client, { prefix: 'a:', accountPrefix: 'b:' })
    const ids = Array.from({ length: 30 }, (_, n) => `all-${n}`)
    await Promise.all(ids.map((id) => store.set(id, { cookie: cookie(), n: id })))
    await other.set('kept', { cookie: cookie() })
    assert.equal(await store.length(), 30)
    assert.deepEqual((await store.ids()).sort(), [...ids].sort())
    const all = await store.all()
    assert.deepEqual(all.map(({ id, n }) => id === n), ids.map(() => true))
    assert.equal(await store.clear(), null)
    assert.equal(await store.length(), 0)
    assert.ok(await other.get('kept'))
    assert.equal(await call('EXISTS', tombstone('[all]*:all-0')), 1)
  })

  it('reads and ends what connect-redis wrote, and the other way round', async () => {
    if (!client.withTypeMapping) return
    const { store } = open(client)
    for (const { RedisStore: ConnectRedis } of [connectRedis, connectRedis10]) {
      const theirs = new ConnectRedis({ client })
      const sid = nextId()
      await theirs.set(sid, { cookie: cookie(), a: 1 })
      const bytes = await call('GET', `sess:${sid}`)
      const session = await store.get(sid)
      await store.set(sid, session)
      assert.equal(await call('GET', `sess:${sid}`), bytes)
      session.b = 2
      await store.set(sid, session)
      assert.deepEqual(await theirs.get(sid), { cookie: cookie(), a: 1, b: 2 })
      await store.destroy(sid)
      assert.equal(await theirs.get(sid), null)
    }
  })

  it('indexes the sessions of an account, and ends them', async () => {
    const { store } = open(client, { account: 'passport.user', prefix: 'app:' })
    const account = nextId()
    const key = `accounts:app:${account}`
    const req = { headers: { 'user-agent': 'Firefox' }, ip: '192.0.2.7' }
    const sids = [nextId(), nextId(), nextId(), nextId()]
    for (const sid of sids) {
      const session = { cookie: cookie() }
      Object.defineProperty(session, 'req', { value: req })
      await store.set(sid, session)
      session.passport = { user: account }
      await store.set(sid, session)
    }
    await store.set(nextId(), { cookie: cookie(), passport: { user: `not ${account}` } })
    const fields = await call('HGETALL', key)
    assert.equal(fields.length, 16)
    assert.deepEqual(fields.filter((_, index) => index % 4 === 0), sids.map((sid) => `c:${sid}`))
    assert.match(fields[3], /^\{"at":\d+,"device":"Firefox","address":"192\.0\.2\.7"\}$/)
    assert.ok(await call('TTL', key) > 86400 + 3500)
    const listed = await store.list(account)
    assert.deepEqual(listed.map(({ handle }) => handle).sort(), sids.map((sid) => store.handle(sid)).sort())
    assert.deepEqual(Object.keys(listed[0]), ['handle', 'createdMs', 'lastSeenMs', 'device', 'address'])
    assert.equal(await store.end(account, store.handle(sids[0])), true)
    assert.equal(await store.end(account, store.handle(sids[0])), false)
    assert.equal(await store.end('nobody', store.handle(sids[1])), false)
    // A session that is not in the index is found by the scan.
    await call('SET', 'app:unlisted', JSON.stringify({ cookie: cookie(), passport: { user: account } }))
    assert.equal(await store.endOthers(account, sids[1]), 3)
    assert.deepEqual((await store.list(account)).map(({ handle }) => handle), [store.handle(sids[1])])
    assert.equal(await store.endAll(account), 1)
    assert.equal(await call('EXISTS', key), 0)
    assert.equal(await call('EXISTS', tombstone(`app:${sids[2]}`)), 1)
  })

  it('indexes touched sessions and those of others, and forgets the oldest beyond a hundred', async () => {
    const { store } = open(client, { account: ({ user }) => user?.id, prefix: 'many:', accountPrefix: 'of:' })
    await call('SET', 'many:touched', JSON.stringify({ cookie: cookie(), user: { id: 7 } }), 'EX', 100)
    await store.touch('touched', await store.get('touched'))
    assert.equal((await store.list('7')).length, 1)
    await call('SET', 'many:found', JSON.stringify({ cookie: cookie(), user: { id: 7 } }), 'EX', 100)
    assert.equal(await store.reindex(), 2)
    assert.equal((await store.list('7')).length, 2)
    await call('DEL', 'many:found')
    assert.equal((await store.list('7')).length, 1)
    for (let n = 0; n < 101; n++) await store.set(`s${n}`, { cookie: cookie(), user: { id: 8 } })
    assert.equal(await call('HLEN', 'of:8'), 200)
    for (const user of [{ id: '' }, { id: 'x'.repeat(513) }, { id: {} }, null]) {
      await store.set(nextId(), { cookie: cookie(), user })
    }
    assert.equal(await store.reindex(), 102)
  })

  it('runs scripts that Redis has forgotten', async () => {
    const { store } = open(client)
    const sid = nextId()
    await call.everywhere('SCRIPT', 'FLUSH')
    await store.set(sid, { cookie: cookie(), a: 1 })
    await call.everywhere('SCRIPT', 'FLUSH')
    assert.equal((await store.get(sid)).a, 1)
  })
}

describe('one server', () => {
  let server
  before(async () => { server = await startRedis() })
  for (const [name, connect] of Object.entries(CLIENTS)) {
    describe(name, () => suite(async () => {
      const call = await commands(server)
      await call('FLUSHALL')
      return { client: await connect(server), call: Object.assign(call, { everywhere: call, raw: call.raw }) }
    }))
  }
})

describe('cluster', () => {
  let cluster
  before(async () => { cluster = await startCluster() })
  for (const [name, connect] of Object.entries(CLUSTER_CLIENTS)) {
    describe(name, () => suite(async () => {
      await Promise.all(cluster.calls.map((call) => call('FLUSHALL')))
      const { sendCommand } = await CLUSTER_CLIENTS['node-redis 5'](cluster.servers).then((client) => ({
        sendCommand: (args) => client.sendCommand(args[1], false, args)
      }))
      const call = (...args) => sendCommand(args.map(String))
      call.raw = (...args) => sendCommand(args)
      call.everywhere = (...args) => Promise.all(cluster.calls.map((one) => one(...args)))
      return { client: await connect(cluster.servers), call }
    }))
  }
})

describe('sentinel', () => {
  let sentinel
  before(async () => { sentinel = await startSentinel() })
  for (const [name, connect] of Object.entries(SENTINEL_CLIENTS)) {
    describe(name, () => suite(async () => {
      const call = await commands(sentinel.primary)
      await call('FLUSHALL')
      return { client: await connect(sentinel.port), call: Object.assign(call, { everywhere: call }) }
    }))
  }
})

describe('options', () => {
  it('names the option that is not valid', () => {
    const client = { callBuffer () {} }
    for (const [options, message] of [
      [{}, /^client must be /],
      [{ client: {} }, /^client must be /],
      [{ client: { callBuffer () {}, options: { keyPrefix: 'a:' } } }, /^client must not have a keyPrefix/],
      [{ client, ttl: -1 }, /^ttl must be /],
      [{ client, prefix: 1 }, /^prefix must be /],
      [{ client, scanCount: 1.5 }, /^scanCount must be /],
      [{ client, serializer: {} }, /^serializer must be /],
      [{ client, touchAfter: 2 }, /^touchAfter must be /],
      [{ client, absoluteTimeout: 0.5 }, /^absoluteTimeout must be /],
      [{ client, timeout: 0 }, /^timeout must be /],
      [{ client, counters: 'n' }, /^counters must be /],
      [{ client, account: '' }, /^account must be /],
      [{ client, accountPrefix: 'sess:accounts:' }, /^accountPrefix must not begin /],
      [{ client, maxAge: 1 }, /^maxAge must not be set/]
    ]) {
      assert.throws(() => new RedisStore(options), { name: 'TypeError', message })
    }
  })

  it('takes what connect-redis takes for its default', () => {
    const client = { callBuffer () {} }
    new RedisStore({ client, ttl: 0, scanCount: 0, serializer: null, prefix: null, disableTTL: undefined })
    assert.equal(new SessionStoreError('GONE', 'x').code, 'GONE')
  })
})
