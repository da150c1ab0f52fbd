'use strict'

// Sends commands with a client of node-redis or ioredis: a single connection, a pool, Sentinel or Cluster.
//
// A connection is what the store needs of a client:
//
//   send(key, args)  sends a command to the primary that has the key; texts in the reply are buffers
//   nodes()          one `send(args)` for each primary
//   whenReady(start) calls `start` when a command would be sent at once; returns a function that withdraws it, if it waits
//
// A command that waits for a connection must not stay in a queue of the client after the store has given it up.

const { SessionStoreError, commandError } = require('./errors')

// RESP's type of a text. With this mapping node-redis returns buffers, so that bytes are compared and not characters.
const TEXT = 36

// The maximum number of sessions that are read or ended at the same time.
const AT_ONCE = 100

function connection (client, timeout) {
  if (typeof client?.callBuffer === 'function') return ioredis(client)
  if (typeof client?.sendCommand === 'function' && typeof client.withTypeMapping === 'function') {
    return nodeRedis(client, { typeMapping: { [TEXT]: Buffer }, timeout })
  }
  throw new TypeError('client must be a client of node-redis 5 or 6, or of ioredis 5 or 6')
}

// node-redis takes a command out of its queue when the command's own timeout has passed. The timer for that costs more
// than the rest of the command, so a single client gets commands without one, and only while it is connected.
function nodeRedis (client, options) {
  const always = (start) => { start() }
  if ('masters' in client) {
    return {
      send: (key, args) => client.sendCommand(key, false, args, options),
      nodes: async () => {
        const nodes = await Promise.all(client.masters.map((master) => client.nodeClient(master)))
        return nodes.map((node) => (args) => node.sendCommand(args, options))
      },
      whenReady: always
    }
  }
  // Only a client of Sentinel can reserve one of its connections, and only a pool runs functions.
  if (typeof client.acquire === 'function') {
    const send = (args) => client.sendCommand(false, args, options)
    return { send: (key, args) => send(args), nodes: async () => [send], whenReady: always }
  }
  const isPool = typeof client.execute === 'function'
  const own = isPool ? options : { typeMapping: options.typeMapping }
  const send = (args) => client.sendCommand(args, own)
  const connected = waiting(client)
  return {
    send: (key, args) => send(args),
    nodes: async () => [send],
    // A client that is closed refuses commands itself.
    whenReady: isPool ? always : (start) => client.isReady || !client.isOpen ? always(start) : connected(start)
  }
}

// Returns a `whenReady` that waits until the client is connected, with one listener for all commands that wait.
function waiting (client) {
  const starts = new Set()
  const startAll = () => {
    const all = [...starts]
    starts.clear()
    for (const start of all) start()
  }
  return (start) => {
    if (starts.size === 0) client.once('ready', startAll)
    starts.add(start)
    return () => {
      if (starts.delete(start) && starts.size === 0) client.off('ready', startAll)
    }
  }
}

// ioredis keeps a command in its queue, so nothing is handed to it before it is connected.
function ioredis (client) {
  if (client.options?.keyPrefix) {
    throw new TypeError('client must not have a keyPrefix; use the option prefix of the store')
  }
  const to = (node) => (args) => node.callBuffer(...args)
  const connected = waiting(client)
  return {
    send: (key, args) => client.callBuffer(...args),
    nodes: async () => client.isCluster ? client.nodes('master').map(to) : [to(client)],
    // With `lazyConnect` the first command connects. A client that is closed refuses commands itself.
    whenReady: (start) => {
      if (!['ready', 'wait', 'end'].includes(client.status)) return connected(start)
      start()
    }
  }
}

// Commands and scripts with a limit on the time that each of them waits.
class Commands {
  #connection
  #timeout

  constructor (client, timeout) {
    this.#connection = connection(client, timeout)
    this.#timeout = timeout
  }

  // Sends a command whose first key is `key`.
  send (key, ...args) {
    return this.#bounded(() => this.#connection.send(key, args))
  }

  // Runs a script. Redis knows it by its hash, unless it has forgotten it.
  run (script, keys, args) {
    const rest = [String(keys.length), ...keys, ...args]
    return this.#bounded(async () => {
      try {
        return await this.#connection.send(keys[0], ['EVALSHA', script.hash, ...rest])
      } catch (error) {
        if (!String(error?.message).startsWith('NOSCRIPT')) throw error
        return await this.#connection.send(keys[0], ['EVAL', script.source, ...rest])
      }
    })
  }

  // Yields the keys that match a pattern, page by page. A key may appear twice.
  async * scan (pattern, count) {
    for (const send of await this.#bounded(() => this.#connection.nodes())) {
      let cursor = '0'
      do {
        const args = ['SCAN', cursor, 'MATCH', pattern, 'COUNT', String(count)]
        const [next, keys] = await this.#bounded(() => send(args))
        cursor = String(next)
        if (keys.length > 0) yield keys.map(String)
      } while (cursor !== '0')
    }
  }

  // The client may never settle what it was given, so the limit is applied from outside.
  #bounded (command) {
    return new Promise((resolve, reject) => {
      let withdraw
      const timer = setTimeout(() => {
        withdraw?.()
        reject(new SessionStoreError('UNAVAILABLE', `Redis did not answer within ${this.#timeout} ms`))
      }, this.#timeout)
      const start = async () => {
        try {
          resolve(await command())
        } catch (error) {
          reject(commandError(error))
        } finally {
          clearTimeout(timer)
        }
      }
      withdraw = this.#connection.whenReady(start)
    })
  }
}

// Calls `act` for each item and returns the results.
async function inBatches (items, act) {
  const results = []
  for (let start = 0; start < items.length; start += AT_ONCE) {
    results.push(...await Promise.all(items.slice(start, start + AT_ONCE).map(act)))
  }
  return results
}

module.exports = { Commands, inBatches }
