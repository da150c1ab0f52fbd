'use strict'

// What both programs need: a Redis client and a listening line.

const { createClient } = require('redis')

// Resolves once Redis has answered. Later errors are the client's business (it reconnects).
async function connect (url) {
  const client = createClient({ url })
  client.on('error', () => {})
  await client.connect()
  return client
}

// Listens on 127.0.0.1 only, and says where.
function listen (app, port, announce = console.log) {
  const server = app.listen(port, '127.0.0.1', (error) => {
    if (error) throw error
    announce(`listening on 127.0.0.1:${server.address().port}`)
  })
}

for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0))

module.exports = { connect, listen }
