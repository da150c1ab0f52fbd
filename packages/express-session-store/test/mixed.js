'use strict'

// An Express service with passport, connect-flash and csurf, for tests in which a Rust service shares its sessions.
//
//   PORT    0 chooses a free one
//   STORE   a Redis URL
//   SECRET  signs the session cookie

const express = require('express')
const session = require('express-session')
const csurf = require('csurf')
const flash = require('connect-flash')
const passport = require('passport')
const { createClient } = require('redis')
const { RedisStore } = require('..')

const { PORT, STORE, SECRET } = process.env

const client = createClient({ url: STORE })
client.on('error', () => {})
client.connect()
const store = new RedisStore({ client, account: 'passport.user', allAreIndexed: true, timeout: 10000 })

passport.serializeUser((user, done) => done(null, user.id))
passport.deserializeUser((id, done) => done(null, { id }))

const app = express()
app.set('env', 'test')
app.use(session({ store, secret: SECRET, resave: false, saveUninitialized: false }))
app.use(passport.session())
app.use(flash())

app.post('/login/:user', (req, res, next) => {
  req.logIn({ id: req.params.user }, (error) => error ? next(error) : res.send('OK'))
})
app.post('/logout', (req, res, next) => req.logOut((error) => error ? next(error) : res.send('OK')))
app.get('/me', (req, res) => res.json([req.user?.id ?? null, req.session.rust ?? null]))
app.post('/flash', (req, res) => {
  req.flash('info', 'saved')
  res.send('OK')
})
app.get('/flash', (req, res) => res.json(req.flash('info')))
app.get('/devices', async (req, res) => res.json(await store.list(req.user.id)))
app.post('/end-others', async (req, res) => res.json(await store.endOthers(req.user.id, req.sessionID)))

app.use(csurf({ value: (req) => req.headers['x-token'] }))
app.get('/token', (req, res) => res.send(req.csrfToken()))
app.post('/guarded', (req, res) => res.send('OK'))
app.use((error, req, res, next) => res.status(error.status ?? 500).send(error.code ?? 'error'))

const server = app.listen(Number(PORT), '127.0.0.1', () => console.log(`listening on 127.0.0.1:${server.address().port}`))
