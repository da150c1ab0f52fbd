'use strict'

// A typical Express service with express-session, connect-redis and Redis.
// The Rust service of this example shares only the secret, the cookie name and the prefix with
// it.

const express = require('express')
const session = require('express-session')
const { RedisStore } = require('connect-redis')
const { createClient } = require('redis')

const client = createClient({ url: process.env.STORE })
client.on('error', console.error)

const app = express()
app.use(session({
  secret: process.env.SECRET,
  store: new RedisStore({ client }),
  resave: false,
  saveUninitialized: false
}))

app.post('/login/:name', (req, res, next) => {
  req.session.regenerate((error) => {
    if (error) return next(error)
    req.session.user = req.params.name
    res.send(`welcome, ${req.params.name}`)
  })
})

app.get('/me', (req, res) => {
  res.send(req.session.user ?? 'nobody')
})

app.post('/logout', (req, res, next) => {
  req.session.destroy((error) => error ? next(error) : res.send('bye'))
})

app.post('/cart/:item', (req, res) => {
  req.session.cart = [...req.session.cart ?? [], req.params.item]
  res.send(req.session.cart.join(', '))
})

// A slow request: it has loaded its session, and finishes when /finish is requested.
let finish
app.post('/slow', (req, res) => {
  req.session.slow = true
  console.log('slow request in progress')
  finish = () => res.send('done')
})
app.post('/finish', (req, res) => {
  finish()
  res.send('OK')
})

client.connect().then(() => {
  const server = app.listen(Number(process.env.PORT), '127.0.0.1', () => {
    console.log(`listening on 127.0.0.1:${server.address().port}`)
  })
})
