// Builds every test once, runs them tier by tier, and reports how long each tier took beside its
// budget. Fails when a test failed or was ignored, when a tier ran no test, and when a test did not
// pass that docs/security.md names. `scripts/test` installs what the tests need and starts this.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename, dirname } from 'node:path'
import { createInterface } from 'node:readline'

// With this feature nothing is left out.
const CARGO_TEST = ['test', '--locked', '--workspace', '--features', 'external-tests']

// Tests spend half of their time waiting for programs that they started.
const ENV = { RUST_TEST_THREADS: String(availableParallelism() + 1), ...process.env }

// The modules of checkin's tests that spend their time in programs of others.
const OUTSIDE_TOOLS = ['deployment::', 'document::', 'pages::', 'postman::', 'proxies::', 'readme::', 'schemathesis::']

// The modules of checkin's tests in which proxies and sentinels measure times: other tests beside them would make
// them wait.
const ALONE = ['fail_overs::', 'rolling_restart::']

// The integration tests of checkin that run in their own process.
const WITHIN = ['memory', 'simulation']

// Budgets are in seconds, about twice what a tier takes on two idle cores. A busy machine may need
// longer, so a tier that exceeds its budget gets a warning and does not fail the run.
const TIERS = [
  {
    name: 'unit and storage tests',
    budget: 120,
    has: (test) => !test.isIntegration || WITHIN.includes(test.name)
  },
  {
    name: 'engines and sessions',
    budget: 300,
    has: (test) => test.isIntegration && test.package !== 'checkin'
  },
  {
    name: 'checkin from outside',
    budget: 600,
    has: (test) => test.isIntegration && test.package === 'checkin' && !WITHIN.includes(test.name),
    args: [...OUTSIDE_TOOLS, ...ALONE].flatMap((name) => ['--skip', name])
  },
  {
    name: 'restarts and fail-overs',
    budget: 120,
    has: (test) => test.package === 'checkin' && test.name === 'it',
    args: ['--test-threads=1', ...ALONE]
  },
  {
    name: 'outside tools',
    budget: 240,
    has: (test) => test.package === 'checkin' && test.name === 'it',
    args: [`--test-threads=${availableParallelism()}`, ...OUTSIDE_TOOLS]
  },
  { name: 'store for Express', budget: 60, has: () => false, npm: 'packages/express-session-store' },
  { name: 'examples in the documentation', budget: 120, has: () => false, cargo: ['--doc'] }
]

// A test that shows that a requirement of security is met, or with `_on_redis` and `_on_sqlite` two of them.
const NAMED_TESTS = { file: 'docs/security.md', pattern: /`(\w+(?:::\w+)+)`/g }

// What the lines at the end of `node --test` are called here.
const KINDS_OF_NODE = { pass: 'passed', fail: 'failed', cancelled: 'failed', skipped: 'ignored', todo: 'ignored' }

const passed = new Set()
const sum = { passed: 0, failed: 0, ignored: 0 }
const lines = []
let isGood = true

const tests = await build()
for (const tier of TIERS) {
  await run(tier)
}
checkNamedTests()
console.log(`\n${lines.join('\n')}`)
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.ignored} skipped`)
process.exitCode = isGood && sum.failed + sum.ignored === 0 ? 0 : 1

// Builds all test programs, and gives each with its package and the folder that it runs in.
async function build () {
  const start = Date.now()
  const tests = []
  const args = [...CARGO_TEST, '--no-run', '--message-format', 'json-render-diagnostics']
  const code = await execute('cargo', args, undefined, (line) => {
    const { reason, profile, executable, target, manifest_path: manifest } = JSON.parse(line)
    if (reason !== 'compiler-artifact' || !profile.test || !executable) return
    const directory = dirname(manifest)
    const isIntegration = target.kind.includes('test')
    tests.push({ package: basename(directory), name: target.name, isIntegration, directory, executable })
  })
  if (code !== 0) process.exit(code)
  lines.push(`build: ${seconds(start)} s`)
  return tests
}

async function run ({ name, budget, has, args = [], npm, cargo }) {
  console.log(`\n=== ${name} ===`)
  const start = Date.now()
  const before = sum.passed
  for (const { executable, directory } of tests.filter(has)) {
    await count(executable, args, directory)
  }
  if (npm) {
    await count('npm', ['test'], npm)
  }
  if (cargo) {
    await count('cargo', [...CARGO_TEST, '--no-fail-fast', ...cargo])
  }
  const taken = seconds(start)
  lines.push(`${name}: ${taken} s of ${budget} s`)
  if (taken > budget) {
    lines.push(`WARNING: ${name} took ${taken - budget} s longer than their budget`)
  }
  if (sum.passed === before) {
    isGood = false
    lines.push(`ERROR: no test of "${name}" passed`)
  }
}

// Runs tests, shows what they write, and adds up what they say at their end:
// `test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s`
// or, from Node, lines such as `ℹ pass 12`.
async function count (program, args, directory) {
  const code = await execute(program, args, directory, (line) => {
    console.log(line)
    passed.add(line.match(/^test (\S+) \.\.\. ok$/)?.[1])
    const [, word, number] = line.match(/^ℹ (\w+) (\d+)$/) ?? []
    if (Object.hasOwn(KINDS_OF_NODE, word)) sum[KINDS_OF_NODE[word]] += Number(number)
    if (!line.startsWith('test result:')) return
    for (const [, number, kind] of line.matchAll(/(\d+) (passed|failed|ignored)/g)) {
      sum[kind] += Number(number)
    }
  })
  if (code !== 0) {
    isGood = false
    lines.push(`ERROR: ${program} ended with ${code}`)
  }
}

function checkNamedTests () {
  const { file, pattern } = NAMED_TESTS
  const names = [...readFileSync(file, 'utf8').matchAll(pattern)].map(([, name]) => name)
  const hasPassed = (name) => passed.has(name) || ['redis', 'sqlite'].every((store) => passed.has(`${name}_on_${store}`))
  for (const name of new Set(names.filter((name) => !hasPassed(name)))) {
    isGood = false
    lines.push(`ERROR: ${file} names ${name}, which did not pass`)
  }
  lines.push(`${file}: ${new Set(names).size} tests named`)
}

// Runs a program to its end, and gives its exit code or the signal that ended it.
async function execute (program, args, cwd, onLine) {
  const child = spawn(program, args, { cwd, env: ENV, stdio: ['ignore', 'pipe', 'inherit'] })
  createInterface({ input: child.stdout }).on('line', onLine)
  const [code, signal] = await once(child, 'close')
  return code ?? signal
}

function seconds (start) {
  return Math.round((Date.now() - start) / 1000)
}
