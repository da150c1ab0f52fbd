'use strict'

// The package as it is published: what it contains, both ways to load it, and its types in a strict project.

const assert = require('node:assert/strict')
const { execFileSync, spawn } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, before, it } = require('node:test')

const { freePort, startRedis, started, until } = require('./support')

const ROOT = path.join(__dirname, '..')
const FILES = [
  'LICENSE-APACHE', 'LICENSE-MIT', 'README.md', 'index.d.mts', 'index.d.ts', 'index.js', 'index.mjs', 'lib/accounts.js',
  'lib/client.js', 'lib/content.js', 'lib/errors.js', 'lib/keys.js', 'lib/merge.js', 'lib/options.js', 'lib/scripts.js', 'lib/store.js',
  'package.json'
]

let project, packed

// Packs the package and installs it into a folder of its own, where its peers are those of this repository.
before(() => {
  project = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'session-store-')))
  const npm = (...args) => execFileSync('npm', [...args, '--offline', '--no-audit', '--no-fund'], { cwd: project, encoding: 'utf8' })
  packed = JSON.parse(npm('pack', ROOT, '--json'))[0]
  fs.writeFileSync(path.join(project, 'package.json'), '{"private":true}')
  npm('install', `./${packed.filename}`, '--legacy-peer-deps')
  for (const name of fs.readdirSync(path.join(ROOT, 'node_modules'))) {
    const place = path.join(project, 'node_modules', name)
    if (!name.startsWith('.') && !fs.existsSync(place)) fs.symlinkSync(path.join(ROOT, 'node_modules', name), place)
  }
})

after(() => fs.rmSync(project, { recursive: true, force: true }))

const run = (...args) => execFileSync(process.execPath, args, { cwd: project, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })

it('contains what it should', () => {
  assert.deepEqual(packed.files.map((file) => file.path).sort(), FILES)
  const { dependencies } = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json')))
  assert.equal(dependencies, undefined)
})

it('can be imported and required, and both are the same', () => {
  const source = `
    import { createRequire } from 'node:module'
    import * as imported from 'merging-session-store'
    const required = createRequire(import.meta.url)('merging-session-store')
    console.log(Object.keys(imported).sort().join(), imported.RedisStore === required.RedisStore)`
  assert.equal(run('--input-type=module', '-e', source).trim(), 'RedisStore,SessionStoreError true')
  assert.equal(run('-p', "Object.keys(require('merging-session-store')).join()").trim(), 'RedisStore,SessionStoreError')
})

// The quick start of the README, in its two forms.
const [inCommonJs, inModule, declarations] = (() => {
  const readme = fs.readFileSync(path.join(ROOT, 'README.md'), 'utf8')
  const blocks = [...readme.split('## Quick start')[1].matchAll(/```[jt]s\n(.*?)```/gs)].map(([, block]) => block)
  return [blocks[0], blocks[1] + blocks[0].replace(/^const .* = require.*\n/gm, ''), blocks[2]]
})()

for (const [name, source] of [['quick.cjs', inCommonJs], ['quick.mjs', inModule]]) {
  it(`has a quick start that works: ${name}`, async () => {
    const { url } = await startRedis()
    const port = await freePort()
    fs.writeFileSync(path.join(project, name), source.replace('createClient()', `createClient({ url: '${url}' })`).replace('3000', port))
    const child = spawn(process.execPath, [name], { cwd: project, stdio: 'inherit' })
    started.push(() => child.kill('SIGKILL'))
    const visit = (headers) => fetch(`http://127.0.0.1:${port}/`, { headers })
    await until(() => visit().then(() => true, () => child.exitCode !== null))
    const first = await visit()
    const cookie = first.headers.get('set-cookie').split(';')[0]
    assert.equal(await (await visit({ cookie })).text(), 'You were here 2 times.')
  })
}

it('has types that compile in a strict project', () => {
  fs.writeFileSync(path.join(project, 'quick.mts'), inModule + declarations)
  fs.cpSync(path.join(__dirname, 'types'), project, { recursive: true })
  const compiler = path.join(ROOT, 'node_modules', '.bin', 'tsc')
  try {
    execFileSync(compiler, ['-p', project], { encoding: 'utf8', stdio: 'pipe' })
  } catch (error) {
    assert.fail(error.stdout)
  }
})
