'use strict'

// Unmodified Express applications: express-session with the store, and with connect-redis where both are compared.

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const { before, describe, it } = require('node:test')

const connectRedis = require('connect-redis')
const csurf = require('csurf')
const flash = require('connect-flash')
const { Redis } = require('ioredis')
const passport = require('passport')
const { createClient } = require('redis')
const { CLIENTS, RedisStore, commands, gate, ioredis, nodeRedis, startApp, startRedis, until } = require('./support')

let server, client, call

before(async () => {
  server = await startRedis()
  client = await CLIENTS['node-redis 5'](server)
  call = await commands(server)
})

// The handlers of an application that knows nothing of its store. `/meet/…` waits until all requests of the test have
// loaded their session.
function routes (meet = gate(0)) {
  return (app) => {
    app.use('/meet', async (req, res, next) => { await meet(); next() })
    const set = (req, res) => {
      req.session[req.params.name] = req.params.value
      res.send('OK')
    }
    app.get('{/meet}/set/:name/:value', set)
    app.get('{/meet}/count/:name', (req, res) => {
      const { name } = req.params
      req.session[name] = (req.session[name] ?? 0) + 1
      res.send('OK')
    })
    app.get('{/meet}/remove/:name', (req, res) => {
      delete req.session[req.params.name]
      res.send('OK')
    })
    app.get('{/meet}/read', ({ session: { cookie, ...attributes } }, res) => res.json(attributes))
    app.get('{/meet}/logout', (req, res, next) => req.session.destroy((error) => error ? next(error) : res.send('OK')))
    app.get('{/meet}/login/:user', (req, res, next) => req.session.regenerate((error) => {
      if (error) return next(error)
      req.session.user = req.params.user
      res.send('OK')
    }))
    app.get('/save-twice', (req, res, next) => {
      req.session.one = 1
      req.session.save((error) => {
        if (error) return next(error)
        req.session.two = 2
        res.send('OK')
      })
    })
    app.get('/reload/:name/:value', (req, res, next) => {
      req.session.lost = true
      req.session.reload((error) => {
        if (error) return next(error)
        set(req, res)
      })
    })
  }
}

// Returns the session in Redis, without its cookie.
async function stored (id) {
  const { cookie, ...attributes } = JSON.parse(await call('GET', `sess:${id}`))
  return attributes
}

async function twentyParallel (store, path) {
  const browsers = await startApp(store, {}, routes(gate(20)))
  const browser = browsers()
  await browser.get('/set/user/al')
  const paths = Array.from({ length: 20 }, (_, n) => `/meet${path.replace('N', n)}`)
  const answers = await Promise.all(paths.map((path) => browsers(browser.cookie).get(path)))
  assert.ok(answers.every(({ status }) => status === 200))
  return stored(browser.id)
}

describe('twenty parallel requests of one session', () => {
  const connect = () => new connectRedis.RedisStore({ client })

  it('each increment an attribute of its own: 20 are kept, 1 with connect-redis', async () => {
    const ours = await twentyParallel(new RedisStore({ client }), '/count/nN')
    assert.deepEqual(Object.keys(ours).length, 1 + 20)
    assert.equal(Object.keys(await twentyParallel(connect(), '/count/nN')).length, 1 + 1)
  })

  it('increment one counter: 20 are counted, 1 with connect-redis', async () => {
    assert.equal((await twentyParallel(new RedisStore({ client, counters: ['n'] }), '/count/n')).n, 20)
    assert.equal((await twentyParallel(connect(), '/count/n')).n, 1)
  })

  it('set one attribute: the last one wins', async () => {
    const { last } = await twentyParallel(new RedisStore({ client }), '/set/last/N')
    assert.ok(Number(last) >= 0)
  })
})

describe('a request that is slower than the end of its session', () => {
  // The slow request has loaded its session when the other one ends it.
  async function slow (store, options, path, ending) {
    const meet = gate(2)
    const browsers = await startApp(store, options, routes(meet))
    const browser = browsers()
    await browser.get('/set/user/al')
    const { id } = browser
    const pending = browsers(browser.cookie).get(`/meet${path}`)
    await browsers(browser.cookie).get(ending)
    meet()
    meet()
    const answer = await pending
    assert.equal(answer.status, 200)
    return { id, browsers, cookie: browser.cookie, exists: await call('EXISTS', `sess:${id}`) }
  }

  for (const ending of ['/logout', '/login/bo']) {
    for (const [path, options] of [['/set/a/1', {}], ['/read', { resave: true }], ['/remove/user', {}]]) {
      it(`${ending} beside ${path} ${JSON.stringify(options)}: the session stays ended`, async () => {
        const store = new RedisStore({ client })
        let gone = 0
        store.on('gone', () => gone++)
        const { exists, browsers, cookie } = await slow(store, options, path, ending)
        assert.equal(exists, 0)
        assert.equal(gone, 1)
        assert.equal((await browsers(cookie).get('/read')).text, '{}')
        assert.equal((await slow(new connectRedis.RedisStore({ client }), options, path, ending)).exists, 1)
      })
    }
  }
})

describe('express-session', () => {
  it('saves twice in one request', async () => {
    const browser = (await startApp(new RedisStore({ client }), {}, routes()))()
    await browser.get('/set/user/al')
    await browser.get('/save-twice')
    assert.deepEqual(await stored(browser.id), { user: 'al', one: 1, two: 2 })
  })

  it('reloads, and the change after it is based on what was reloaded', async () => {
    const browser = (await startApp(new RedisStore({ client }), {}, routes()))()
    await browser.get('/set/user/al')
    await browser.get('/reload/a/1')
    assert.deepEqual(await stored(browser.id), { user: 'al', a: '1' })
  })

  it('regenerates: a new id, and the old one is not used again', async () => {
    const browser = (await startApp(new RedisStore({ client }), {}, routes()))()
    await browser.get('/set/a/1')
    const old = browser.id
    await browser.get('/login/al')
    assert.notEqual(browser.id, old)
    assert.deepEqual(await stored(browser.id), { user: 'al' })
    assert.equal(await call('EXISTS', `sess:${old}`), 0)
    assert.equal(await call('EXISTS', `{sess:${old}}:revoked`), 1)
  })

  it('two parallel requests change and remove', async () => {
    const browsers = await startApp(new RedisStore({ client }), {}, routes(gate(3)))
    const browser = browsers()
    for (const name of ['a', 'b', 'c']) await browser.get(`/set/${name}/0`)
    await Promise.all(['/set/a/1', '/remove/b', '/set/d/1'].map((path) => browsers(browser.cookie).get(`/meet${path}`)))
    assert.deepEqual(await stored(browser.id), { a: '1', c: '0', d: '1' })
  })

  it('with resave, a request without a change keeps the change of the other', async () => {
    const browsers = await startApp(new RedisStore({ client }), { resave: true }, routes(gate(2)))
    const browser = browsers()
    await browser.get('/set/a/0')
    await Promise.all(['/set/a/1', '/read'].map((path) => browsers(browser.cookie).get(`/meet${path}`)))
    assert.deepEqual(await stored(browser.id), { a: '1' })
  })

  it('saves uninitialized sessions only if it is told to', async () => {
    for (const [saveUninitialized, count] of [[true, 1], [false, 0]]) {
      const store = new RedisStore({ client, prefix: `un-${saveUninitialized}:` })
      const browser = (await startApp(store, { saveUninitialized }, routes()))()
      await browser.get('/read')
      await browser.get('/read')
      assert.equal(await store.length(), count)
    }
  })

  it('with rolling, sends the cookie in each response', async () => {
    for (const [rolling, sent] of [[true, 1], [false, 0]]) {
      const browser = (await startApp(new RedisStore({ client }), { rolling, cookie: { maxAge: 60000 } }, routes()))()
      await browser.get('/set/a/1')
      assert.equal((await browser.get('/read')).set.length, sent)
    }
  })

  it('destroys an unset session', async () => {
    const store = new RedisStore({ client })
    const browser = (await startApp(store, { unset: 'destroy' }, (app) => {
      routes()(app)
      app.get('/unset', (req, res) => { req.session = null; res.send('OK') })
    }))()
    await browser.get('/set/a/1')
    await browser.get('/unset')
    assert.equal(await store.get(browser.id), null)
  })

  it('gives a new session for a value that is no session', async () => {
    const browser = (await startApp(new RedisStore({ client }), {}, routes()))()
    await browser.get('/set/a/1')
    await call('SET', `sess:${browser.id}`, '{"user":')
    const answer = await browser.get('/set/a/2')
    assert.equal(answer.status, 200)
    assert.deepEqual(await stored(browser.id), { a: '2' })
  })

  it('shows nothing of the store in the session', async () => {
    const browser = (await startApp(new RedisStore({ client }), {}, (app) => {
      routes()(app)
      app.get('/keys', (req, res) => {
        const { session } = req
        const names = []
        for (const name in session) names.push(name)
        res.json([names, Reflect.ownKeys(session).filter((key) => typeof key === 'symbol').length, Object.keys(session)])
      })
    }))()
    await browser.get('/set/a/1')
    assert.deepEqual(JSON.parse((await browser.get('/keys')).text), [['cookie', 'a'], 0, ['cookie', 'a']])
  })
})

describe('with other packages', () => {
  it('passport logs in and out, and its sessions are indexed', async () => {
    const store = new RedisStore({ client, account: 'passport.user', prefix: 'pp:' })
    const authenticator = new passport.Passport()
    authenticator.serializeUser((user, done) => done(null, user.id))
    authenticator.deserializeUser((id, done) => done(null, { id }))
    const browsers = await startApp(store, {}, (app) => {
      app.use(authenticator.session())
      app.get('/anonymous', (req, res) => { req.session.cart = 1; res.send('OK') })
      app.get('/login', (req, res, next) => {
        req.logIn({ id: 'al' }, { keepSessionInfo: true }, (error) => error ? next(error) : res.send('OK'))
      })
      app.get('/me', (req, res) => res.json([req.user?.id, req.session.cart]))
      app.get('/logout', (req, res, next) => req.logOut((error) => error ? next(error) : res.send('OK')))
    })
    const browser = browsers()
    await browser.get('/anonymous', { 'user-agent': 'Firefox' })
    const before = browser.id
    await browser.get('/login', { 'user-agent': 'Firefox' })
    assert.notEqual(browser.id, before)
    assert.equal((await browser.get('/me')).text, '["al",1]')
    const [{ handle, device, address }] = await store.list('al')
    assert.deepEqual([handle, device, address], [store.handle(browser.id), 'Firefox', '127.0.0.1'])
    await browser.get('/logout')
    assert.equal((await browser.get('/me')).text, '[null,null]')
    assert.deepEqual(await store.list('al'), [])
    // The account ends its other sessions.
    const others = [browsers(), browsers()]
    for (const one of others) await one.get('/login')
    assert.equal(await store.endOthers('al', others[0].id), 1)
    assert.equal((await others[0].get('/me')).text, '["al",null]')
    assert.equal((await others[1].get('/me')).text, '[null,null]')
  })

  it('connect-flash shows a message once, also beside other requests', async () => {
    const meet = gate(2)
    const browsers = await startApp(new RedisStore({ client }), {}, (app) => {
      app.use(flash())
      app.get('/flash', (req, res) => { req.flash('info', 'saved'); res.send('OK') })
      app.get('/show', async (req, res) => { await meet(); res.json(req.flash('info')) })
      app.get('/other', async (req, res) => { await meet(); req.session.other = 1; res.send('OK') })
    })
    const browser = browsers()
    await browser.get('/flash')
    const [shown] = await Promise.all(['/show', '/other'].map((path) => browsers(browser.cookie).get(path)))
    assert.equal(shown.text, '["saved"]')
    assert.equal((await browser.get('/show')).text, '[]')
    assert.equal((await stored(browser.id)).other, 1)
  })

  it('csurf accepts its token, also after a parallel change', async () => {
    const browsers = await startApp(new RedisStore({ client }), {}, (app) => {
      routes()(app)
      app.use(csurf({ ignoreMethods: ['HEAD'], value: (req) => req.headers['x-token'] ?? '' }))
      app.use((error, req, res, next) => req.path === '/token' ? res.send(req.csrfToken()) : next(error))
      app.get('/change', (req, res) => res.send('changed'))
    })
    const browser = browsers()
    const { text: token } = await browser.get('/token')
    await Promise.all(['/set/a/1', '/set/b/1'].map((path) => browsers(browser.cookie).get(path)))
    assert.equal((await browser.get('/change', { 'x-token': token })).text, 'changed')
    assert.notEqual((await browser.get('/change', { 'x-token': 'wrong' })).status, 200)
  })
})

describe('when Redis is not available', () => {
  for (const [name, connect] of Object.entries(CLIENTS)) {
    it(`${name}: a request gets a 503 within the limit, and works again afterwards`, async () => {
      const own = await startRedis()
      const store = new RedisStore({ client: await connect(own), timeout: 200 })
      const browser = (await startApp(store, {}, routes()))()
      await browser.get('/set/a/1')
      process.kill(own.pid, 'SIGSTOP')
      const answer = await browser.get('/read')
      assert.deepEqual([answer.status, answer.text], [503, 'UNAVAILABLE'])
      process.kill(own.pid, 'SIGCONT')
      assert.equal((await browser.get('/read')).text, '{"a":"1"}')
      await own.stop()
      for (let n = 0; n < 3; n++) assert.equal((await browser.get('/read')).status, 503)
      // A visitor without a session needs no Redis.
      assert.equal((await (await startApp(store, {}, routes()))().get('/read')).status, 200)
      await own.start()
      // The connections of a pool are there again one by one.
      await until(async () => {
        await browser.get('/set/a/2')
        return (await browser.get('/read')).text === '{"a":"2"}'
      })
    })
  }

  it('names the permission that the Redis user lacks', async () => {
    await call('ACL', 'SETUSER', 'weak', 'on', '>pw', '~*', '+@all', '-eval', '-evalsha')
    const weak = await nodeRedis(createClient({ url: server.url, username: 'weak', password: 'pw' }))
    const error = await new RedisStore({ client: weak }).get('x').catch((error) => error)
    assert.equal(error.code, 'FORBIDDEN')
    assert.match(error.message, /evalsha/)
  })

  it('needs no more permissions than the README names', async () => {
    const readme = fs.readFileSync(path.join(__dirname, '../README.md'), 'utf8')
    const [line] = readme.replaceAll('\\\n', ' ').match(/ACL SETUSER sessions .*/)
    await call(...line.split(/\s+/).map((word) => word.replaceAll("'", '')))
    for (const connect of [
      () => nodeRedis(createClient({ url: server.url, username: 'sessions', password: 'PASSWORD' })),
      () => ioredis(new Redis({ port: server.port, username: 'sessions', password: 'PASSWORD' }))
    ]) {
      const client = await connect()
      const store = new RedisStore({ client, account: 'user', absoluteTimeout: 86400 })
      store.on('indexError', assert.ifError)
      const endless = new RedisStore({ client, disableTTL: true })
      const session = { cookie: { originalMaxAge: null }, user: 'permitted' }
      await endless.set('one', session)
      await store.set('two', session)
      await store.touch('two', session)
      await store.set('two', await store.get('two'))
      await store.reindex()
      assert.equal((await store.list('permitted')).length, 2)
      assert.equal(await store.endAll('permitted'), 2)
      await store.clear()
      await call('DEL', '{sess:one}:revoked', '{sess:two}:revoked')
    }
  })

  it('ends a session although there is no memory for a tombstone', async () => {
    const own = await startRedis('--maxmemory-policy', 'noeviction')
    const ask = await commands(own)
    const store = new RedisStore({ client: await CLIENTS['node-redis 5'](own) })
    const browser = (await startApp(store, {}, routes()))()
    await browser.get('/set/a/1')
    await ask('CONFIG', 'SET', 'maxmemory', '1')
    assert.equal((await store.set('x', { cookie: {} }).catch(({ code }) => code)), 'UNAVAILABLE')
    assert.equal((await browser.get('/logout')).status, 200)
    assert.equal(await store.get(browser.id), null)
  })
})

