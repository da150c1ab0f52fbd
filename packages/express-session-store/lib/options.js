'use strict'

// Checks the options of a store, and fills in their defaults.

const DAY = 86400

// The longest time to live, in seconds: the range of dates in JavaScript. Redis refuses a time beyond its own.
const LONGEST = 8.64e12

const DEFAULTS = {
  prefix: 'sess:',
  ttl: DAY,
  disableTTL: false,
  disableTouch: false,
  scanCount: 100,
  serializer: JSON,
  touchAfter: 0.1,
  absoluteTimeout: undefined,
  ignoreCorrupt: true,
  failIfGone: false,
  counters: [],
  timeout: 1000,
  account: undefined,
  accountPrefix: undefined,
  allAreIndexed: false
}

const isText = (value) => typeof value === 'string'
const isFlag = (value) => typeof value === 'boolean'
const isCallable = (value) => typeof value === 'function'
const isWithin = (low, high) => (value) => Number.isFinite(value) && value >= low && value <= high

const RULES = {
  prefix: [isText, 'a string'],
  ttl: [(ttl) => isCallable(ttl) || isWithin(Number.MIN_VALUE, LONGEST)(ttl), 'a number of seconds above 0, or a function'],
  disableTTL: [isFlag, 'true or false'],
  disableTouch: [isFlag, 'true or false'],
  scanCount: [(count) => Number.isInteger(count) && isWithin(1, 100000)(count), 'an integer from 1 to 100000'],
  serializer: [(one) => isCallable(one?.parse) && isCallable(one?.stringify), 'an object with parse and stringify'],
  touchAfter: [isWithin(0, 1), 'a number from 0 to 1'],
  absoluteTimeout: [isWithin(1, LONGEST), 'a number of seconds, at least 1'],
  ignoreCorrupt: [isFlag, 'true or false'],
  failIfGone: [isFlag, 'true or false'],
  counters: [(names) => Array.isArray(names) && names.every(isText), 'a list of names of attributes'],
  timeout: [isWithin(1, 2 ** 31 - 1), 'a number of milliseconds, at least 1'],
  account: [(name) => (isText(name) && name !== '') || isCallable(name), 'the name of an attribute, or a function'],
  accountPrefix: [isText, 'a string'],
  allAreIndexed: [isFlag, 'true or false']
}

function checked ({ client, ...given } = {}) {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(DEFAULTS, name)) throw new TypeError(`${name} must not be set: there is no such option`)
  }
  // connect-redis takes its default for each of these values.
  for (const name of ['ttl', 'scanCount', 'serializer', 'disableTTL', 'disableTouch']) {
    if (!given[name]) delete given[name]
  }
  const options = { ...DEFAULTS }
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null) continue
    const [isValid, rule] = RULES[name]
    if (!isValid(value)) throw new TypeError(`${name} must be ${rule}`)
    options[name] = value
  }
  options.accountPrefix ??= `accounts:${options.prefix}`
  if (options.prefix !== '' && options.accountPrefix.startsWith(options.prefix)) {
    throw new TypeError('accountPrefix must not begin with the prefix of the sessions')
  }
  return options
}

module.exports = { DAY, LONGEST, checked }
