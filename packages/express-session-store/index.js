'use strict'

const { SessionStoreError } = require('./lib/errors')
const { RedisStore } = require('./lib/store')

module.exports = { RedisStore, SessionStoreError }
