'use strict'

// What a mistake of the application, a foreign value or an outage must not do.

const assert = require('node:assert/strict')
const { once } = require('node:events')
const { before, describe, it } = require('node:test')
const v8 = require('node:v8')
const vm = require('node:vm')

const { Redis } = require('ioredis')
const redis = require('redis')

const { CLIENTS, RedisStore, commands, cookie, nodeRedis, startRedis, started, until } = require('./support')

let client, call, url

before(async () => {
  const server = await startRedis()
  url = server.url
  client = await CLIENTS['node-redis 5'](server)
  call = await commands(server)
})

let prefixes = 0
const open = (options) => new RedisStore({ client, prefix: `p${prefixes++}:`, ...options })

describe('an account that the application gives', () => {
  it('may be a number, as in the session', async () => {
    const store = open({ account: 'user' })
    await store.set('a', { cookie: cookie(), user: 5 })
    await store.set('b', { cookie: cookie(), user: 5 })
    const [{ handle }] = await store.list(5)
    assert.equal((await store.list('5')).length, 2)
    assert.equal(await store.end(5, handle), true)
    assert.equal(await store.endAll(5), 1)
    assert.deepEqual(await store.ids(), [])
  })

  it('is refused if it is none, and no session without an account ends', async () => {
    const store = open({ account: 'user' })
    await store.set('guest', { cookie: cookie(), cart: 1 })
    for (const account of [undefined, null, '', {}, 'x'.repeat(513)]) {
      for (const act of [() => store.list(account), () => store.end(account, 'h'), () => store.endOthers(account, 'x'), () => store.endAll(account)]) {
        await assert.rejects(act, { name: 'TypeError', message: /^account must be / })
      }
    }
    await assert.rejects(store.endOthers('ann', undefined), { name: 'TypeError', message: /^sid must be / })
    assert.equal((await store.get('guest')).cart, 1)
  })

  it('is refused without the option, and the index of other services stays', async () => {
    const store = open({ account: 'user' })
    await store.set('a', { cookie: cookie(), user: 'ann' })
    const without = open({ prefix: store.prefix })
    for (const act of [() => without.list('ann'), () => without.endAll('ann'), () => without.endAll(), () => without.reindex()]) {
      await assert.rejects(act, { name: 'TypeError', message: /^account must be set/ })
    }
    assert.equal((await store.list('ann')).length, 1)
  })
})

describe('a function account that fails', () => {
  const functions = {
    throws: ({ user }) => user.name,
    rejects: async ({ user }) => user.name
  }
  for (const [name, account] of Object.entries(functions)) {
    it(`fails no request, and an event tells it: ${name}`, async () => {
      const store = open({ account, absoluteTimeout: 1000 })
      const errors = []
      store.on('indexError', (error) => errors.push(error))
      await store.set('guest', { cookie: cookie() })
      const session = await store.get('guest')
      await store.touch('guest', session)
      session.a = 1
      await store.set('guest', session)
      assert.equal((await store.get('guest')).a, 1)
      await store.set('ann', { cookie: cookie(), user: { name: 'ann' } })
      assert.equal(await store.endAll('ann'), name === 'throws' ? 1 : 0)
      assert.equal(await store.reindex(), 0)
      assert.ok(errors.length > 0)
      for (const { code, message } of errors) assert.deepEqual([code, message], ['ACCOUNT', 'account must return a text or a number'])
      if (name === 'throws') assert.match(errors[0].cause.message, /undefined/)
    })
  }

  it('may return no account', async () => {
    for (const found of [undefined, null, '', 'x'.repeat(513), {}, true, NaN, Infinity]) {
      const store = open({ account: () => found })
      store.on('indexError', assert.ifError)
      await store.set('a', { cookie: cookie() })
      assert.equal(await store.reindex(), 0)
    }
  })
})

describe('values that are not sessions', () => {
  it('of another type are treated as the other ones', async () => {
    const store = open()
    await call('RPUSH', `${store.prefix}list`, 'x')
    assert.equal(await store.get('list'), null)
    assert.deepEqual(await store.all(), [])
    const strict = open({ prefix: store.prefix, ignoreCorrupt: false })
    await assert.rejects(strict.get('list'), { code: 'CORRUPT' })
    assert.equal(await call('LRANGE', `${store.prefix}list`, 0, -1).then(String), 'x')
  })

  it('that another program stores during a request end the session, or fail the save', async () => {
    const store = open()
    const strict = open({ prefix: store.prefix, ignoreCorrupt: false })
    for (const text of ['secret', 'null', '{"secret":1}']) {
      await store.set('a', { cookie: cookie() })
      const sessions = [await store.get('a'), await strict.get('a')]
      await call('SET', `${store.prefix}a`, text)
      let gone = 0
      store.once('gone', () => gone++)
      sessions.forEach((session) => { session.b = 1 })
      assert.equal(await store.set('a', sessions[0]), null)
      assert.equal(gone, 1)
      if (text !== 'null') {
        await assert.rejects(strict.set('a', sessions[1]), (error) => error.code === 'CORRUPT' && error.cause === undefined)
      }
      assert.equal(await call('GET', `${store.prefix}a`), text)
      await call('DEL', `${store.prefix}a`)
    }
  })

  it('do not keep the sessions of an account from being ended', async () => {
    const store = open({ account: 'user', ignoreCorrupt: false })
    await call('SET', `${store.prefix}bad`, 'x')
    await call('RPUSH', `${store.prefix}list`, 'x')
    await store.set('a', { cookie: cookie(), user: 'ann' })
    await call('DEL', `accounts:${store.prefix}ann`)
    assert.equal(await store.reindex(), 1)
    await call('DEL', `accounts:${store.prefix}ann`)
    assert.equal(await store.endAll('ann'), 1)
  })
})

it('a serializer that fails while another save is in progress fails only its own save', async () => {
  const stringify = async (session) => {
    if (session.bad) throw new Error('must be good')
    return JSON.stringify(session)
  }
  const store = open({ serializer: { parse: JSON.parse, stringify } })
  const session = { cookie: cookie() }
  const unhandled = []
  const listen = (error) => unhandled.push(error)
  process.prependListener('unhandledRejection', listen)
  const first = store.set('a', session)
  session.bad = true
  const results = await Promise.allSettled([first, store.set('a', session)])
  process.off('unhandledRejection', listen)
  assert.deepEqual(results.map((result) => result.reason?.message), [undefined, 'must be good'])
  assert.deepEqual(unhandled, [])
})

it('a serializer that gives no text, and a session that is none, fail the save with a clear error', async () => {
  for (const given of [undefined, null, 1, Buffer.from('{}')]) {
    const store = open({ serializer: { parse: JSON.parse, stringify: async () => given } })
    await assert.rejects(store.set('a', { cookie: cookie() }), { name: 'TypeError', message: 'serializer.stringify must return a string' })
  }
  const store = open()
  await assert.rejects(store.set('a', undefined), { name: 'TypeError', message: 'session must be an object' })
  await assert.rejects(store.set('a', { cookie: cookie(), n: 1n }), { name: 'TypeError', message: /BigInt/ })
  const circular = { cookie: cookie() }
  circular.self = circular
  await assert.rejects(store.set('a', circular), { name: 'TypeError', message: /circular/ })
  assert.equal(await store.get('a'), null)
})

it('without options, the error names the client', () => {
  assert.throws(() => new RedisStore(), { name: 'TypeError', message: /^client must be / })
})

describe('a Redis that accepts no write', () => {
  it('still reads sessions, and the absolute timeout begins when it accepts them again', async () => {
    const server = await startRedis('--maxmemory-policy', 'noeviction')
    const ask = await commands(server)
    for (const [name, refuse, accept] of [
      ['OOM', ['maxmemory', 1], ['maxmemory', 0]],
      ['NOREPLICAS', ['min-replicas-to-write', 1], ['min-replicas-to-write', 0]]
    ]) {
      const store = new RedisStore({ client: await CLIENTS['node-redis 5'](server), prefix: name, absoluteTimeout: 1000 })
      const text = JSON.stringify({ cookie: cookie(), a: 1 })
      await ask('SET', `${name}a`, text)
      await ask('SET', `${name}ended`, text)
      await ask('SET', `{${name}ended}:revoked`, 1)
      await ask('SET', `${name}over`, text)
      await ask('SET', `{${name}over}:created`, 1)
      await ask('CONFIG', 'SET', ...refuse)
      assert.equal((await store.get('a')).a, 1, name)
      assert.equal(await store.get('ended'), null)
      assert.equal(await store.get('over'), null)
      await assert.rejects(store.set('a', { cookie: cookie(), a: 2 }), { code: 'UNAVAILABLE', status: 503 }, name)
      await ask('CONFIG', 'SET', ...accept)
      assert.equal(await ask('EXISTS', `{${name}a}:created`), 0)
      assert.equal((await store.get('a')).a, 1)
      assert.equal(await ask('EXISTS', `{${name}a}:created`), 1)
    }
  })

  // After a fail-over, a client may still take the demoted server for the primary, while it is filled again.
  it('is one that misses a session and is a replica', async () => {
    const server = await startRedis()
    const ask = await commands(server)
    const store = new RedisStore({ client: await CLIENTS['node-redis 5'](server), prefix: 'replica:' })
    const text = JSON.stringify({ cookie: cookie(), a: 1 })
    await ask('SET', 'replica:a', text)
    await ask('SET', 'replica:ended', text)
    await ask('SET', '{replica:ended}:revoked', 1)
    assert.equal(await store.get('missing'), null)
    await ask('REPLICAOF', '127.0.0.1', 1)
    assert.equal((await store.get('a')).a, 1)
    assert.equal(await store.get('ended'), null)
    await assert.rejects(store.get('missing'), { code: 'UNAVAILABLE' })
    await ask('REPLICAOF', 'NO', 'ONE')
    assert.equal(await store.get('missing'), null)
  })

  it('is not one whose user lacks a permission', async () => {
    await call('ACL', 'SETUSER', 'reader', 'on', '>pw', '~*', '+@all', '-set')
    const reader = await nodeRedis(redis.createClient({ url, username: 'reader', password: 'pw' }))
    const store = open({ client: reader, absoluteTimeout: 1000 })
    await call('SET', `${store.prefix}a`, JSON.stringify({ cookie: cookie() }))
    await assert.rejects(store.get('a'), { code: 'FORBIDDEN' })
  })
})

describe('commands that were given up', () => {
  v8.setFlagsFromString('--expose-gc')
  const collect = vm.runInNewContext('gc')
  const saves = 20
  const memory = () => {
    collect()
    return process.memoryUsage().heapUsed
  }

  async function failToSave (one) {
    one.on('error', () => {})
    started.push(() => one.destroy ? one.destroy() : one.disconnect())
    const store = open({ client: one, timeout: 20 })
    for (let number = 0; number < saves; number++) {
      const session = { cookie: cookie(), text: Buffer.alloc(1e6, 97 + number).toString('latin1') }
      await assert.rejects(store.set(`s${number}`, session), { code: 'UNAVAILABLE' })
    }
  }

  const away = { host: '127.0.0.1', port: 1 }
  const disconnected = {
    'node-redis': () => {
      const one = redis.createClient({ socket: { ...away, reconnectStrategy: () => 200 } })
      one.connect().catch(() => {})
      return one
    },
    ioredis: () => new Redis({ ...away, retryStrategy: () => 200 })
  }
  for (const [name, connect] of Object.entries(disconnected)) {
    it(`are not kept, if there was no connection: ${name}`, async () => {
      const one = connect()
      const used = memory()
      await failToSave(one)
      assert.ok(memory() - used < saves * 1e6 / 4)
      // ioredis has one of its own while it connects.
      await until(() => one.listenerCount('ready') === 0)
    })
  }

  // The settings are those of the README.
  const impatient = {
    'node-redis': ({ url }) => redis.createClient({
      url, pingInterval: 50, socket: { socketTimeout: 200, reconnectStrategy: (retries) => Math.min(50 * 2 ** retries, 2000) }
    }),
    ioredis: ({ port }) => new Redis({ port, socketTimeout: 200, maxRetriesPerRequest: 0 })
  }
  for (const [name, connect] of Object.entries(impatient)) {
    it(`are kept until the client ends the connection, if Redis does not answer: ${name}`, async () => {
      const server = await startRedis()
      const one = connect(server)
      const used = memory()
      let closed = 0
      one.on('error', () => {})
      one.on(name === 'ioredis' ? 'close' : 'reconnecting', () => closed++)
      if (name === 'ioredis') await once(one, 'ready')
      else await one.connect()
      process.kill(server.pid, 'SIGSTOP')
      await failToSave(one)
      await until(() => closed > 0 && memory() - used < saves * 1e6 / 4)
      process.kill(server.pid, 'SIGCONT')
      const store = open({ client: one, timeout: 10_000 })
      assert.equal(await store.get('x'), null)
    })
  }
})

it('all and clear send at most a hundred commands at the same time', async () => {
  let [now, most] = [0, 0]
  const counting = Object.create(client, {
    sendCommand: {
      value: async (...args) => {
        most = Math.max(most, ++now)
        try {
          return await client.sendCommand(...args)
        } finally {
          now--
        }
      }
    }
  })
  const store = open({ client: counting, scanCount: 100_000 })
  const text = JSON.stringify({ cookie: cookie() })
  await call('MSET', ...Array.from({ length: 500 }, (_, number) => [store.prefix + number, text]).flat())
  assert.equal((await store.all()).length, 500)
  await store.clear()
  assert.equal(await store.length(), 0)
  assert.ok(most <= 100, `${most} commands`)
})
