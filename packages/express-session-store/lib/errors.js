'use strict'

// An error of the store. Its message and its cause never contain the id or the content of a session.
//
//   UNAVAILABLE  Redis cannot be reached, does not answer in time, or does not accept the command now
//   FORBIDDEN    the Redis user lacks a permission
//   GONE         the session has ended; only with the option `failIfGone`
//   CONFLICT     other writers changed the session during each attempt to save it
//   CORRUPT      the stored value is not a session; only with `ignoreCorrupt: false`
//   ACCOUNT      the function `account` threw, or returned a promise; only with the event `indexError`
//   STORE        any other failure
class SessionStoreError extends Error {
  constructor (code, message, cause) {
    super(message, cause && { cause })
    this.name = 'SessionStoreError'
    this.code = code
    // Express uses this as the status of its response.
    if (code === 'UNAVAILABLE') this.status = 503
  }
}

// The first word of a reply with which Redis refuses a command that it may accept later.
const TEMPORARY = new Set(['BUSY', 'CLUSTERDOWN', 'LOADING', 'MASTERDOWN', 'MISCONF', 'NOREPLICAS', 'OOM', 'READONLY', 'TRYAGAIN'])

// Returns the error of a command as an error of the store.
function commandError (error) {
  if (error instanceof SessionStoreError) return error
  const message = String(error?.message)
  // Redis puts its own codes in front of an error that a command in a script had, or behind it.
  const code = message.match(/^[A-Z]{2,}(?= )/)?.[0]
  if (code === undefined) return new SessionStoreError('UNAVAILABLE', 'Redis is not available', error)
  if (code === 'NOPERM' || /no permissions|ACL failure|can't (run|access)/i.test(message)) {
    return new SessionStoreError('FORBIDDEN', `the Redis user must have the permissions of the store: ${message}`, error)
  }
  if (code === 'NOAUTH' || code === 'WRONGPASS') {
    return new SessionStoreError('FORBIDDEN', 'the client must log in to Redis', error)
  }
  if (TEMPORARY.has(code) || /^ERR .*-?(OOM|READONLY|MISCONF|NOREPLICAS) /.test(message)) {
    return new SessionStoreError('UNAVAILABLE', `Redis does not accept the command: ${code}`, error)
  }
  return new SessionStoreError('STORE', `Redis refused a command: ${code}`, error)
}

module.exports = { SessionStoreError, commandError }
