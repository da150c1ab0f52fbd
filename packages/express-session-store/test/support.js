'use strict'

// Starts Redis servers of its own for each test file, on free ports, and ends them. The variable REDIS_SERVER names the
// program of another engine.

const { spawn } = require('node:child_process')
const dgram = require('node:dgram')
const { once } = require('node:events')
const fs = require('node:fs')
const net = require('node:net')
const os = require('node:os')
const path = require('node:path')
const { after } = require('node:test')

const express = require('express')
const session = require('express-session')
const redis = require('redis')
const redis6 = require('redis-6')
const { Redis, Cluster } = require('ioredis')
const { Redis: Redis6, Cluster: Cluster6 } = require('ioredis-6')

const { RedisStore } = require('..')

const SECRET = 'keyboard cat'

// What a test file has started, in the order in which it is ended.
const started = []

after(async () => {
  for (const end of started.reverse()) await end()
})

// The processes of the servers. They end with this one, also if the test runner ends it because a test takes too long:
// otherwise they hold its error output open, and a program that reads all of it waits for ever.
const children = []
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')))
process.on('SIGTERM', () => process.exit(1))

// The ports that are given out and those of their cluster buses are below the range of the local ports of outgoing
// connections, and none of them is the bus of another one.
const FIRST_PORT = 12000
const BUS = 10000
const PORTS_OF_A_BLOCK = 100

const ports = freePorts()

// Returns a port on which no program listens, nor on that of its cluster bus. No other test process gets it.
async function freePort () {
  return (await ports.next()).value
}

async function * freePorts () {
  for (let block = FIRST_PORT; block < FIRST_PORT + BUS; block += PORTS_OF_A_BLOCK) {
    if (!await reserve(block + BUS)) continue
    for (let port = block; port < block + PORTS_OF_A_BLOCK; port++) {
      if (await isFree(port) && await isFree(port + BUS)) yield port
    }
  }
  throw new Error('no port is free')
}

// Reserves a block of ports until this process ends: only one process at a time has the UDP port of this number. The tests in
// Rust do the same.
function reserve (number) {
  const socket = dgram.createSocket('udp4').unref()
  return new Promise((resolve) => {
    socket.once('error', () => resolve(false))
    socket.bind({ port: number, address: '127.0.0.1', exclusive: true }, () => resolve(true))
  })
}

function isFree (port) {
  const server = net.createServer()
  return new Promise((resolve) => {
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

// Starts a server and resolves when it accepts connections.
async function startRedis (...settings) {
  const port = await freePort()
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'session-store-'))
  const args = ['--port', port, '--bind', '127.0.0.1', '--save', '', '--dir', directory, ...settings].map(String)
  return startServer(args, port, directory)
}

// `start` starts it once more after `stop`: on the same port, without its data.
async function startServer (args, port, directory) {
  let child, ended
  const start = async () => {
    fs.mkdirSync(directory, { recursive: true })
    child = spawn(process.env.REDIS_SERVER ?? 'redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] })
    ended = once(child, 'exit')
    children.push(child)
    await new Promise((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`the Redis server ended with ${code}`)))
      child.stdout.on('data', (text) => /Ready to accept connections|Sentinel ID is/.test(text) && resolve())
    })
  }
  const stop = async () => {
    child.kill('SIGKILL')
    await ended
    fs.rmSync(directory, { recursive: true, force: true })
  }
  started.push(stop)
  await start()
  return { port, url: `redis://127.0.0.1:${port}`, start, stop, pid: child.pid }
}

// The clients that the store supports: each connects to one server.
const CLIENTS = {
  'node-redis 5': ({ url }) => nodeRedis(redis.createClient({ url })),
  'node-redis 5, pool': ({ url }) => nodeRedis(redis.createClientPool({ url })),
  'node-redis 6': ({ url }) => nodeRedis(redis6.createClient({ url })),
  'node-redis 6, pool': ({ url }) => nodeRedis(redis6.createClientPool({ url })),
  'ioredis 5': ({ port }) => ioredis(new Redis(port)),
  'ioredis 6': ({ port }) => ioredis(new Redis6(port))
}

const CLUSTER_CLIENTS = {
  'node-redis 5': ([{ url }]) => nodeRedis(redis.createCluster({ rootNodes: [{ url }] })),
  'node-redis 6': ([{ url }]) => nodeRedis(redis6.createCluster({ rootNodes: [{ url }] })),
  'ioredis 5': ([{ port }]) => ioredis(new Cluster([{ host: '127.0.0.1', port }])),
  'ioredis 6': ([{ port }]) => ioredis(new Cluster6([{ host: '127.0.0.1', port }]))
}

const SENTINEL_CLIENTS = {
  'node-redis 5': (port) => nodeRedis(redis.createSentinel({ name: 'main', sentinelRootNodes: [{ host: '127.0.0.1', port }] })),
  'node-redis 6': (port) => nodeRedis(redis6.createSentinel({ name: 'main', sentinelRootNodes: [{ host: '127.0.0.1', port }] })),
  'ioredis 5': (port) => ioredis(new Redis({ name: 'main', sentinels: [{ host: '127.0.0.1', port }] })),
  'ioredis 6': (port) => ioredis(new Redis6({ name: 'main', sentinels: [{ host: '127.0.0.1', port }] }))
}

async function nodeRedis (client) {
  client.on('error', () => {})
  await client.connect()
  // `destroy` of a pool of node-redis 5 misses some of the clients that are still connecting, which then never give up:
  // https://github.com/redis/node-redis/pull/3320
  started.push(async () => {
    await until(() => !(client.clientsInUse > 0))
    client.destroy()
  })
  return client
}

async function ioredis (client) {
  client.on('error', () => {})
  if (client.status !== 'ready') await once(client, 'ready')
  started.push(() => client.disconnect())
  return client
}

// Returns a client for the test itself, which sends any command and gives texts.
async function commands (server) {
  const client = await CLIENTS['node-redis 5'](server)
  const call = (...args) => client.sendCommand(args.map(String))
  call.raw = (...args) => client.sendCommand(args)
  return call
}

// Starts a cluster of three servers.
async function startCluster () {
  const servers = []
  for (let number = 0; number < 3; number++) {
    servers.push(await startRedis('--cluster-enabled', 'yes', '--cluster-node-timeout', '2000'))
  }
  const part = Math.ceil(16384 / servers.length)
  const calls = await Promise.all(servers.map(commands))
  for (const [number, call] of calls.entries()) {
    const end = Math.min((number + 1) * part, 16384)
    await call('CLUSTER', 'ADDSLOTS', ...Array.from({ length: end - number * part }, (_, slot) => number * part + slot))
    await call('CLUSTER', 'SET-CONFIG-EPOCH', number + 1)
    if (number > 0) await call('CLUSTER', 'MEET', '127.0.0.1', servers[0].port)
  }
  await until(async () => {
    const states = await Promise.all(calls.map((call) => call('CLUSTER', 'INFO')))
    return states.every((state) => /cluster_state:ok/.test(state) && /cluster_known_nodes:3/.test(state))
  })
  return { servers, calls }
}

// Starts a primary with one sentinel. Returns the port of the sentinel.
async function startSentinel () {
  const primary = await startRedis()
  const port = await freePort()
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'session-store-'))
  const file = path.join(directory, 'sentinel.conf')
  fs.writeFileSync(file, `port ${port}\nbind 127.0.0.1\ndir ${directory}\nsentinel monitor main 127.0.0.1 ${primary.port} 1\n`)
  await startServer([file, '--sentinel'], port, directory)
  return { port, primary }
}

// Waits for a condition.
async function until (condition) {
  while (!await condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

// Starts an Express application with sessions in `store`, and returns a function that opens a browser on it.
async function startApp (store, options, routes) {
  const app = express()
  app.set('env', 'test')
  app.use(session({ secret: SECRET, resave: false, saveUninitialized: false, store, ...options }))
  routes(app)
  app.use((error, req, res, next) => {
    if (res.headersSent) return res.end()
    res.status(error.status ?? 500).send(error.code ?? 'error')
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  started.push(() => { server.closeAllConnections(); server.close() })
  return (cookie) => new Browser(`http://127.0.0.1:${server.address().port}`, cookie)
}

// Keeps one cookie, like a browser.
class Browser {
  constructor (url, cookie) {
    this.url = url
    this.cookie = cookie
  }

  // Sends a request, and keeps its cookie.
  async get (path, headers = {}) {
    const cookie = this.cookie ? { cookie: this.cookie } : {}
    const response = await fetch(this.url + path, { headers: { ...cookie, ...headers } })
    const set = response.headers.getSetCookie().map((line) => line.split(';')[0])
    if (set.length > 0) this.cookie = set.at(-1)
    return { status: response.status, text: await response.text(), set: response.headers.getSetCookie() }
  }

  // The id of the session in the cookie.
  get id () {
    return decodeURIComponent(this.cookie.split('=')[1]).slice(2).split('.')[0]
  }
}

// Resolves when `open` was called as often as `count`, so that requests overlap without a clock.
function gate (count) {
  let open
  const opened = new Promise((resolve) => { open = resolve })
  return () => {
    if (--count <= 0) open()
    return opened
  }
}

function cookie (more = {}) {
  return { originalMaxAge: null, expires: null, httpOnly: true, path: '/', ...more }
}

module.exports = {
  CLIENTS,
  CLUSTER_CLIENTS,
  RedisStore,
  SENTINEL_CLIENTS,
  commands,
  cookie,
  freePort,
  gate,
  ioredis,
  nodeRedis,
  startApp,
  startCluster,
  startRedis,
  startSentinel,
  started,
  until
}
