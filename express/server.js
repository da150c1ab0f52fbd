'use strict'

// Shared by both programs: a Redis client, the store of the sessions, and the line that says where the program listens.

const { createClient } = require('redis')

// The stores by their package. The second one is of this repository.
const STORES = {
  'connect-redis': 'connect-redis',
  'merging-session-store': '../packages/express-session-store'
}

// Returns a store of the package MODULE, with these options and those of the JSON object STORE_OPTIONS.
function sessionStore ({ MODULE = 'connect-redis', STORE_OPTIONS = '{}' }, options) {
  const { RedisStore } = require(STORES[MODULE])
  return new RedisStore({ ...options, ...JSON.parse(STORE_OPTIONS) })
}

// Resolves when Redis has replied. The client itself handles later errors by reconnecting.
async function connect (url) {
  const client = createClient({ url })
  client.on('error', () => {})
  await client.connect()
  return client
}

// Listens on 127.0.0.1 only, and prints the address.
function listen (app, port, announce = console.log) {
  const server = app.listen(port, '127.0.0.1', (error) => {
    if (error) throw error
    announce(`listening on 127.0.0.1:${server.address().port}`)
  })
}

for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0))

module.exports = { connect, listen, sessionStore }
