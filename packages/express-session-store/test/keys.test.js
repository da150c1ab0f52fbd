'use strict'

const assert = require('node:assert/strict')
const { it } = require('node:test')

const { globEscaped, hashSlot, sessionKeys } = require('../lib/keys')

it('computes the slot as Redis does', () => {
  assert.equal(hashSlot('123456789'), 12739)
  assert.equal(hashSlot('a:{user}:b'), hashSlot('user'))
})

it('names keys as the crate does, in one slot and outside the prefix', () => {
  for (const [session, revoked] of [
    ['sess:id', '{sess:id}:revoked'],
    ['id', '{id}:revoked'],
    ['{app}sess:id', '{app}:revoked:{app}sess:id'],
    ['sess:{a}', '{a}:revoked:sess:{a}'],
    ['sess:}'],
    ['sess:{'],
    ['sess:{}']
  ]) {
    const keys = sessionKeys(session)
    assert.equal(keys[0], session)
    if (revoked) assert.equal(keys[1], revoked)
    for (const key of keys) assert.equal(hashSlot(key), hashSlot(session), key)
    assert.equal(new Set(keys).size, 4)
  }
})

it('escapes what has a meaning in a pattern', () => {
  assert.equal(globEscaped('app:sess:'), 'app:sess:')
  assert.equal(globEscaped('a*[b]?\\'), 'a\\*\\[b\\]\\?\\\\')
})
