'use strict'

// Runs the tests on other versions of Node: `npm run test:nodes`, or `npm run test:nodes 22 24`. The npm package `node`
// brings the program.

const { spawnSync } = require('node:child_process')
const { readdirSync } = require('node:fs')
const path = require('node:path')

const VERSIONS = ['22', '23', '24', '25', '26']

const given = process.argv.slice(2)
const tests = readdirSync(__dirname).filter((name) => name.endsWith('.test.js')).map((name) => path.join(__dirname, name))

for (const version of given.length > 0 ? given : VERSIONS) {
  const command = ['node', '--test', '--test-reporter=spec', '--test-timeout=120000', ...tests]
  const args = ['exec', '--yes', `--package=node@${version}`, '--', ...command]
  const { status, stdout, stderr } = spawnSync('npm', args, { encoding: 'utf8', maxBuffer: 64 << 20 })
  const counts = [...stdout.matchAll(/^ℹ (pass|fail|cancelled|skipped) (\d+)$/gm)].map(([, kind, number]) => `${number} ${kind}`)
  console.log(`Node ${version}: ${counts.join(', ')}`)
  if (status !== 0) {
    console.log(stdout.slice(stdout.indexOf('failing tests')), stderr)
    process.exitCode = 1
  }
}
