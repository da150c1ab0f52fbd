'use strict'

// An Express service beside the check-in services. It shares their session cookie, their sessions
// in Redis and their check-in log, and is a peer in the benchmark.
//
//   PORT           0 chooses a free one
//   STORE          a Redis URL
//   SECRET         signs the session cookie
//   PREFIX         key prefix, default `ncc`
//   PASSWORD       the password of every account, default `secret123`
//   MODULE         the package of the store, default `connect-redis`
//   STORE_OPTIONS  more options of the store as a JSON object

const express = require('express')
const session = require('express-session')
const { connect, listen, sessionStore } = require('./server')

const MAX_RATING = 5

function isId (value) {
  return Number.isSafeInteger(value) && value >= 1
}

function isRating (value) {
  return Number.isInteger(value) && value >= 0 && value <= MAX_RATING
}

function withoutCookie ({ cookie, ...attributes }) {
  return attributes
}

function routes (app, { client, prefix, password }) {
  app.post('/login', (req, res, next) => {
    const { email, password: given } = req.body ?? {}
    if (typeof email !== 'string' || typeof given !== 'string') {
      return res.status(400).send('Email and password are required.')
    }
    if (given !== password) return res.status(401).send('Invalid login.')
    req.session.regenerate((error) => {
      if (error) return next(error)
      req.session.user = email
      res.send('OK')
    })
  })

  app.get('/logout', (req, res, next) => {
    req.session.destroy((error) => error ? next(error) : res.send('OK'))
  })

  app.get('/session', (req, res) => {
    if (!req.session.user) return res.status(401).send('Authentication required.')
    res.json({ user: req.session.user, all: withoutCookie(req.session) })
  })

  app.post('/session/:key', (req, res) => {
    req.session[req.params.key] = req.body
    res.send('OK')
  })

  app.post('/api/checkin', async (req, res) => {
    if (!req.session.user) return res.status(401).send('Authentication required.')
    const { userId, locationId, starRating } = req.body ?? {}
    if (!isId(userId) || !isId(locationId) || !isRating(starRating)) {
      return res.status(400).send('Invalid check-in.')
    }
    const id = await client.xAdd(`${prefix}:checkins`, '*', {
      userId: String(userId),
      locationId: String(locationId),
      starRating: String(starRating)
    })
    res.status(202).set('Checkin-Id', id).end()
  })
}

async function main () {
  const { PORT = '0', STORE, SECRET, PREFIX = 'ncc', PASSWORD = 'secret123' } = process.env
  const client = await connect(STORE)

  const app = express()
  app.disable('x-powered-by')
  app.get('/plain', (req, res) => res.send('OK'))
  app.use(express.json({ strict: false }))
  app.use(session({
    name: 'checkinapp',
    secret: SECRET,
    store: sessionStore(process.env, { client, prefix: `${PREFIX}:session:` }),
    resave: false,
    saveUninitialized: false,
    cookie: { path: '/', httpOnly: true }
  }))
  routes(app, { client, prefix: PREFIX, password: PASSWORD })
  listen(app, Number(PORT))
}

main()
