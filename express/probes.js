'use strict'

// Many probes in one process, because most of the time of a comparison is spent on starting Node.
//
// Each line on stdin is a JSON object with the variables of `probe.js` and a `NUMBER`. The program
// prints `probe NUMBER listening on 127.0.0.1:PORT` for it, and ends when stdin is closed.

const readline = require('node:readline')
const { start } = require('./probe')

const lines = readline.createInterface({ input: process.stdin })
lines.on('line', (line) => {
  const { NUMBER, ...variables } = JSON.parse(line)
  start(variables, (where) => console.log(`probe ${NUMBER} ${where}`))
})
lines.on('close', () => process.exit(0))
