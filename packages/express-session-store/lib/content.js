'use strict'

// Converts sessions to text and back, with the serializer of the application.

// Returns the text of a session.
async function written (serializer, session) {
  const text = await serializer.stringify(session)
  if (typeof text !== 'string') throw new TypeError('serializer.stringify must return a string')
  return text
}

// Returns the session that Redis has, which is a buffer, or a text that this process stored; null if the application
// stored none. Throws if it is something else.
async function read (serializer, stored) {
  if (!Buffer.isBuffer(stored) && typeof stored !== 'string') throw new TypeError('the session must be a text')
  const session = stored.length > 0 ? await serializer.parse(String(stored)) : null
  if (!session) return null
  checkSession(session)
  return session
}

// Throws unless express-session can make a session of this value. For a cookie such as `false` it makes a new one.
function checkSession ({ cookie }) {
  const isAge = (age) => !age || typeof age === 'number'
  const isCookie = cookie ? typeof cookie === 'object' : cookie !== null && cookie !== undefined
  if (!isCookie || !isAge(cookie.maxAge) || !isAge(cookie.originalMaxAge)) {
    throw new TypeError('the session must have a cookie')
  }
}

module.exports = { read, written }
