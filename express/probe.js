'use strict'

// The reference side of the conformance test: runs a program of session operations on
// express-session + connect-redis. The counterpart is the example `probe` of the session crate.
//
//   PORT           0 chooses a free one
//   STORE          a Redis URL
//   PREFIX         key prefix, default `sess:`
//   TTL            seconds, for sessions whose cookie has no expiry
//   OPTIONS        express-session's options as a JSON object
//   MODULE         the package of the store, default `connect-redis`
//   STORE_OPTIONS  more options of the store as a JSON object

// Set before express-session is loaded, because `resave` and similar options are left undefined on
// purpose.
process.env.NO_DEPRECATION = 'express-session'

const express = require('express')
const session = require('express-session')
const { connect, listen, sessionStore } = require('./server')

const NO_SESSION = { error: 'no session' }
const FAILED = { error: 'failed' }

// These operations run only if there is a `req.session`. The result is the return value;
// `undefined` becomes null. The session must not be kept in a variable, because `reload` and
// `regenerate` replace `req.session`.
const sessionOperations = {
  id: (req) => req.session.id,
  get: (req, key) => req.session[key],
  all: (req) => {
    const { cookie, ...attributes } = req.session
    return attributes
  },
  set: (req, key, value) => { req.session[key] = value },
  remove: (req, key) => { delete req.session[key] },
  cookie: (req) => req.session.cookie.toJSON(),
  'cookie.set': (req, name, value) => { req.session.cookie[name] = cookieValue(name, value) },
  save: (req) => called((done) => req.session.save(done)),
  reload: (req) => called((done) => req.session.reload(done)),
  regenerate: (req) => called((done) => req.session.regenerate(done)),
  destroy: (req) => called((done) => req.session.destroy(done)),
  touch: (req) => { req.session.touch() },
  unset: (req) => { req.session = null }
}

// These operations need no session, so they also work after `destroy` and `unset`, and on a path
// outside the cookie's path. In these cases every operation above returns "no session", including
// `id` and a second `destroy` or `unset`.
const otherOperations = {
  sleep: (req, ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  status: (req, code) => { req.res.status(code) }
}

// JSON has no dates, so an ISO string is converted to a date. Other values are passed unchanged.
function cookieValue (name, value) {
  return name === 'expires' && typeof value === 'string' ? new Date(value) : value
}

function called (operation) {
  return new Promise((resolve, reject) => {
    operation((error) => error ? reject(error) : resolve())
  })
}

async function run (req, [name, ...args]) {
  try {
    if (Object.hasOwn(otherOperations, name)) return await otherOperations[name](req, ...args)
    if (!Object.hasOwn(sessionOperations, name)) return FAILED
    if (!req.session) return NO_SESSION
    // A result is the value at this time, and must not change with later operations.
    return snapshot(await sessionOperations[name](req, ...args))
  } catch {
    return FAILED
  }
}

function snapshot (value) {
  const text = JSON.stringify(value)
  return text === undefined ? null : JSON.parse(text)
}

async function handle (req, res) {
  const program = req.body === undefined ? [] : req.body
  if (!Array.isArray(program) || !program.every(Array.isArray)) {
    return res.status(400).json({ error: 'the body is a JSON array of operations' })
  }
  const results = []
  for (const operation of program) results.push(await run(req, operation))
  res.json(results)
}

function sessionOptions (options, store) {
  const { cookie, ...rest } = options
  if (cookie === undefined) return { ...rest, store }
  // The order is kept, because express-session assigns the cookie's options one after another.
  const entries = Object.entries(cookie).map(([name, value]) => [name, cookieValue(name, value)])
  return { ...rest, cookie: Object.fromEntries(entries), store }
}

// Starts a probe with these variables.
async function start ({ PORT = '0', STORE, PREFIX = 'sess:', TTL, OPTIONS = '{}', ...variables }, announce) {
  const client = await connect(STORE)
  const store = sessionStore(variables, { client, prefix: PREFIX, ttl: TTL ? Number(TTL) : undefined })

  const app = express()
  // Express's own error handling, without its log of every error on stderr.
  app.set('env', 'test')
  app.disable('x-powered-by')
  app.disable('etag')
  app.use(express.json({ strict: false, type: () => true, limit: '16mb' }))
  app.use(session(sessionOptions(JSON.parse(OPTIONS), store)))
  app.use((req, res, next) => req.method === 'POST' ? handle(req, res) : next())
  // An invalid cookie is noticed only while the response is being sent. Express would then close
  // the connection, and it would depend on timing what the client receives. So the response is
  // finished instead.
  app.use((error, req, res, next) => { if (!res.headersSent) next(error) })
  listen(app, Number(PORT), announce)
}

if (require.main === module) start(process.env)

module.exports = { start }
