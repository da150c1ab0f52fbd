// Measures `express/service.js` with our store beside connect-redis, without a build: `make benchstores`.
//
//   SECONDS  length of a round, default 2
//   ROUNDS   number of rounds of each program and workload, default 7
//
// The service runs on core 0, Redis and this driver share core 1. The two programs take turns.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import http from 'node:http'
import net from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const EXPRESS = fileURLToPath(new URL('../../../express/', import.meta.url))
const { createClient } = createRequire(EXPRESS)('redis')

const { SECONDS = '2', ROUNDS = '7' } = process.env
const CONNECTIONS = 32
const SESSIONS = 1000
const TICKS_PER_SECOND = 100
const MODULES = ['connect-redis', 'merging-session-store']

const json = (body) => ({ method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })
const WORKLOADS = {
  'authenticated read (`GET /session`)': () => ['/session', {}],
  'change (`POST /session/n`)': () => ['/session/n', json(changes++)]
}

// No two changes set the same value.
let changes = 0

const started = []
const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS })

async function start (core, program, args, ready, env = {}) {
  const options = { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env } }
  const child = spawn('taskset', ['-c', core, program, ...args], options)
  started.push(child)
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.includes(ready)) return { pid: child.pid, line }
  }
  throw new Error(`${program} ended`)
}

async function freePort () {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  return port
}

function request (port, path, { method = 'GET', body, headers = {} }, cookie) {
  return new Promise((resolve, reject) => {
    const options = { agent, port, host: '127.0.0.1', path, method, headers: cookie ? { ...headers, cookie } : headers }
    const sent = http.request(options, (response) => {
      response.resume()
      response.on('end', () => resolve(response))
    })
    sent.on('error', reject).end(body)
  })
}

// Opens sessions at a service, and returns their cookies.
async function logIn (port) {
  const cookies = []
  for (let number = 0; number < SESSIONS; number++) {
    const response = await request(port, '/login', json({ email: `user-${number}@example.com`, password: 'secret123' }))
    cookies.push(response.headers['set-cookie'][0].split(';')[0])
  }
  return cookies
}

// The processor time of a process in microseconds.
function processorTime (pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 1e6 / TICKS_PER_SECOND
}

async function calls (client) {
  const found = (await client.info('commandstats')).matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)
  return Object.fromEntries([...found].map(([, name, count]) => [name.toUpperCase(), Number(count)]))
}

async function round ({ port, pid, cookies }, redis, client, workload) {
  const before = [processorTime(pid), processorTime(redis.pid), await calls(client)]
  const start = performance.now()
  const end = start + Number(SECONDS) * 1000
  let count = 0
  await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
    while (performance.now() < end) {
      const number = count++
      const { statusCode } = await request(port, ...workload(), cookies[number % cookies.length])
      if (statusCode !== 200) throw new Error(`the status is ${statusCode}`)
    }
  }))
  const seconds = (performance.now() - start) / 1000
  const after = await calls(client)
  const commands = Object.entries(after).map(([name, number]) => [name, (number - (before[2][name] ?? 0)) / count])
  return {
    rate: count / seconds,
    cpu: (processorTime(pid) - before[0]) / count,
    redisCpu: (processorTime(redis.pid) - before[1]) / count,
    commands: commands.filter(([name, number]) => number >= 0.005 && name !== 'INFO')
  }
}

function median (values) {
  return values.sort((one, other) => one - other)[Math.floor(values.length / 2)]
}

try {
  const port = await freePort()
  const redis = await start('1', 'redis-server', ['--port', port, '--save', ''], 'Ready to accept connections')
  const url = `redis://127.0.0.1:${port}`
  const client = await createClient({ url }).connect()
  const programs = []
  for (const module of MODULES) {
    const env = { PORT: '0', STORE: url, SECRET: 'keyboard cat', PREFIX: module, MODULE: module, NODE_ENV: 'production', NODE_PATH: `${EXPRESS}node_modules` }
    const { pid, line } = await start('0', 'node', [`${EXPRESS}service.js`], 'listening on', env)
    const service = { module, pid, port: Number(line.split(':').at(-1)), rounds: [] }
    programs.push({ ...service, cookies: await logIn(service.port) })
  }
  for (const [name, workload] of Object.entries(WORKLOADS)) {
    console.log(`\n${name}, ${CONNECTIONS} connections, median of ${ROUNDS} rounds of ${SECONDS} s:\n`)
    console.log('| store | requests/s | server CPU µs/request | Redis CPU µs/request | Redis commands per request |')
    console.log('|---|---|---|---|---|')
    const results = new Map(programs.map((program) => [program, []]))
    for (const program of programs) await round(program, redis, client, workload)
    for (let number = 0; number < Number(ROUNDS); number++) {
      for (const program of programs) results.get(program).push(await round(program, redis, client, workload))
    }
    for (const [{ module }, rounds] of results) {
      const of = (figure) => median(rounds.map((one) => one[figure])).toFixed(0)
      const commands = rounds.at(-1).commands.map(([command, number]) => `${command} ${number.toFixed(2)}`)
      console.log(`| ${module} | ${of('rate')} | ${of('cpu')} | ${of('redisCpu')} | ${commands.join(', ')} |`)
    }
  }
  client.destroy()
} finally {
  agent.destroy()
  for (const child of started) child.kill()
}
