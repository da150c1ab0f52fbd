'use strict'

// Many probes in one process: starting Node is most of the time that a comparison takes.
//
// Each line on stdin is a JSON object with `probe.js`'s variables and a `NUMBER`; the answer is
// `probe NUMBER listening on 127.0.0.1:PORT`. The process ends with its stdin.

const readline = require('node:readline')
const { start } = require('./probe')

const lines = readline.createInterface({ input: process.stdin })
lines.on('line', (line) => {
  const { NUMBER, ...variables } = JSON.parse(line)
  start(variables, (where) => console.log(`probe ${NUMBER} ${where}`))
})
lines.on('close', () => process.exit(0))
