'use strict'

const assert = require('node:assert/strict')
const { it } = require('node:test')

// The crate tower-express-session passes the same cases.
const cases = require('../../../crates/tower-express-session/src/merge_cases.json')
const { merge } = require('../lib/merge')

const hasSameText = (one, other) => JSON.stringify(one) === JSON.stringify(other)

const MINE = { cookie: { originalMaxAge: 1 } }
const OTHER = { cookie: { originalMaxAge: 2 } }

for (const { name, base, mine, theirs, merged } of cases) {
  it(name, () => {
    const found = merge({ ...OTHER, ...base }, { ...MINE, ...mine }, { ...OTHER, ...theirs }, hasSameText, new Set())
    const { cookie, ...attributes } = found
    assert.equal(JSON.stringify(attributes), JSON.stringify(merged))
    assert.deepEqual(cookie, MINE.cookie)
  })
}

it('adds the changes of counters, if all are numbers', () => {
  for (const [base, mine, theirs, merged] of [
    [{ n: 1 }, { n: 2 }, { n: 5 }, { n: 6 }],
    [{ n: 5 }, { n: 3 }, { n: 6 }, { n: 4 }],
    [{}, { n: 1 }, { n: 2 }, { n: 3 }],
    [{ n: 1 }, { n: 1 }, { n: 2 }, { n: 2 }],
    [{ n: 1 }, { n: 2 }, {}, { n: 2 }],
    [{ n: 1 }, {}, { n: 2 }, {}],
    [{ n: 1 }, { n: '2' }, { n: 2 }, { n: '2' }],
    [{ n: 'x' }, { n: 2 }, { n: 3 }, { n: 2 }],
    [{ m: 1 }, { m: 2 }, { m: 3 }, { m: 2 }]
  ]) {
    assert.deepEqual(merge(base, mine, theirs, hasSameText, new Set(['n'])), merged)
  }
})

it('keeps an attribute with the name of a property of every object', () => {
  const theirs = JSON.parse('{"__proto__":{"admin":true},"a":1}')
  const merged = merge({ a: 1 }, { a: 2 }, theirs, hasSameText, new Set())
  assert.equal(JSON.stringify(merged), '{"__proto__":{"admin":true},"a":2}')
  assert.equal(merged.admin, undefined)
})
