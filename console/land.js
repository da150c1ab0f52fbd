// Writes crates/checkin/assets/land.bin: the land of Natural Earth (1:10,000,000), which is in the public domain, as
// `land.rs` reads it.
//   npm install --no-save world-atlas@2.0.2 topojson-client@3.1.0 && node land.js
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { feature } from 'topojson-client'

const UNITS = 1000
const atlas = JSON.parse(readFileSync(createRequire(import.meta.url).resolve('world-atlas/land-10m.json')))
const bytes = []

for (const { geometry: { type, coordinates } } of feature(atlas, atlas.objects.land).features) {
  for (const polygon of type === 'MultiPolygon' ? coordinates : [coordinates]) polygon.forEach(write)
}
writeFileSync(new URL('../crates/checkin/assets/land.bin', import.meta.url), Buffer.from(bytes))

// Points that are equal after rounding are written once.
function write (ring) {
  const points = ring.map((point) => point.map((degrees) => Math.round(degrees * UNITS)))
    .filter(([x, y], at, all) => at === 0 || x !== all[at - 1][0] || y !== all[at - 1][1])
  add(points.length)
  points.forEach(([x, y], at) => {
    const [fromX, fromY] = points[at - 1] ?? [0, 0]
    add(x - fromX)
    add(y - fromY)
  })
}

// A zigzag varint.
function add (number) {
  let rest = number < 0 ? -2 * number - 1 : 2 * number
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push(rest % 128 | 128)
  bytes.push(rest)
}
