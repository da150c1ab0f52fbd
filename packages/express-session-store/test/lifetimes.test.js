'use strict'

// How long sessions and tombstones live, and how often a session in use is written.

const assert = require('node:assert/strict')
const { before, it } = require('node:test')

const { CLIENTS, RedisStore, commands, cookie, startRedis } = require('./support')

let client, call, sent

before(async () => {
  const server = await startRedis()
  const real = await CLIENTS['node-redis 5'](server)
  sent = 0
  client = Object.create(real, {
    sendCommand: {
      value: (args, options) => {
        // Each script is sent so first, and whole if Redis does not know it.
        if (args[0] === 'EVALSHA') sent++
        return real.sendCommand(args, options)
      }
    }
  })
  call = await commands(server)
})

let ids = 0
const nextId = () => `id-${ids++}`

// Returns how many scripts `act` runs.
async function countSent (act) {
  const before = sent
  await act()
  return sent - before
}

it('a touch that cannot prolong a session, because of its absolute timeout, is not sent', async () => {
  for (const [options, left, isTouched] of [
    [{ ttl: 1000, absoluteTimeout: 500 }, 490, false],
    [{ ttl: 1000, absoluteTimeout: 5000 }, 950, false],
    [{ ttl: 1000, absoluteTimeout: 5000 }, 800, true],
    // Another service stores it for a shorter time, for a longer time, or without an end.
    [{ ttl: 1000, absoluteTimeout: 500 }, 50, true],
    [{ ttl: 100, absoluteTimeout: 500 }, 490, true],
    [{ ttl: 1000, absoluteTimeout: 500 }, -1, true]
  ]) {
    const sid = nextId()
    const store = new RedisStore({ client, ...options })
    await call('SET', `{sess:${sid}}:created`, Date.now() - 10_000)
    await call('SET', `sess:${sid}`, JSON.stringify({ cookie: cookie() }), ...left > 0 ? ['EX', left] : [])
    const session = await store.get(sid)
    const name = `${JSON.stringify(options)} ${left}`
    assert.equal(await countSent(() => store.touch(sid, session)), isTouched ? 1 : 0, name)
    const ttl = await call('TTL', `sess:${sid}`)
    assert.ok(ttl > 0 && ttl <= Math.min(options.ttl, options.absoluteTimeout - 10) || !isTouched, `${name}: ${ttl}`)
  }
})

it('the index tells the last use of a session that cannot be prolonged, now and then', async () => {
  for (const [touchAfter, count] of [[0.1, 1], [0, 10], [1, 0]]) {
    const store = new RedisStore({ client, ttl: 1000, absoluteTimeout: 500, account: 'user', touchAfter })
    const sid = nextId()
    await store.set(sid, { cookie: cookie(), user: sid })
    const key = `accounts:sess:${sid}`
    await call('HSET', key, `s:${sid}`, '{"at":1,"device":"","address":""}')
    const sessions = await Promise.all(Array.from({ length: 10 }, () => store.get(sid)))
    const touchEach = async () => {
      for (const session of sessions) await store.touch(sid, session)
    }
    assert.equal(await countSent(touchEach), count, `${touchAfter}`)
    const [{ lastSeenMs }] = await store.list(sid)
    assert.equal(lastSeenMs > 1, count > 0)
  }
})

it('the tombstone of a session that was not stored is short, and no save follows it', async () => {
  const store = new RedisStore({ client })
  const sid = nextId()
  const fresh = { cookie: cookie(), a: 1 }
  // A client with several connections may send the save of the same request later.
  await store.destroy(sid)
  await store.set(sid, fresh)
  assert.equal(await call('EXISTS', `sess:${sid}`), 0)
  const left = await call('TTL', `{sess:${sid}}:revoked`)
  assert.ok(left > 290 && left <= 300, left)
})

it('a tombstone is never shortened', async () => {
  const store = new RedisStore({ client })
  const month = 30 * 86400
  const sid = nextId()
  const text = JSON.stringify({ cookie: cookie({ originalMaxAge: month * 1000 }) })
  await call('SET', `sess:${sid}`, text, 'EX', month)
  const isLong = async () => await call('TTL', `{sess:${sid}}:revoked`) > month
  await store.destroy(sid)
  assert.ok(await isLong())
  await store.destroy(sid)
  assert.ok(await isLong())
  // Another program writes it back, for a shorter time.
  await call('SET', `sess:${sid}`, JSON.stringify({ cookie: cookie() }), 'EX', 100)
  await store.destroy(sid)
  assert.ok(await isLong())
  assert.equal(await call('EXISTS', `sess:${sid}`), 0)
})
