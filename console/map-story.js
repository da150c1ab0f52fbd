// The map in a browser: moved by the mouse, a finger, two fingers, the wheel, keys and links, with tiles of a server that
// this program is, at the port TILES. Without scripts, the links move it. Prints one JSON line with what is wrong.
//   TILES=8090 CONSOLE=http://127.0.0.1:8080 EMAIL=… PASSWORD=… node map-story.js
// The console has --map-tiles-url http://127.0.0.1:8090/{z}/{x}/{y}.png --map-attribution "© the tests".
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { CONSOLE, inspect, launch, open } from './browser.js'

const { EMAIL, PASSWORD, TILES } = process.env
const PIXEL = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPj/HwADBwIAMCbHYQAAAABJRU5ErkJggg==', 'base64')
const START = { lat: 37.8, lng: -122.3, zoom: 10 }
const problems = []

const asked = new Set()
const tiles = await serve(Number(TILES), (path) => asked.add(path))
const others = []
const stranger = await serve(0, (path) => others.push(path))

const browser = await launch()
const page = await open(browser, problems)
await page.goto(path(START))
await inspect(page, problems)
await drawn(page)
assert.ok(asked.has('/10/164/395.png'), [...asked].join(' '))
await page.getByText('© the tests').waitFor()
assert.equal(await page.getByText('Natural Earth').count(), 0)

// The policy allows that server alone, and only on pages with a map.
const policy = async (of) => (await page.request.get(of)).headers()['content-security-policy']
const pictures = (await policy('/map')).match(/img-src ([^;]*)/)[1]
assert.equal(pictures, `'self' http://127.0.0.1:${TILES}`)
assert.equal((await policy('/')).match(/img-src ([^;]*)/)[1], "'self'")
// The policy did not hold for the page that was inspected.
await page.reload()
const blocked = await page.evaluate((address) => new Promise((resolve) => {
  document.addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective), { once: true })
  new Image().src = address
}), `http://127.0.0.1:${stranger.address().port}/1/1/1.png`)
assert.equal(blocked, 'img-src')
assert.deepEqual(others, [])
problems.splice(0, problems.length, ...problems.filter((problem) => !problem.includes('Content Security Policy')))

// Dragging: what was under the mouse follows it, and the picture is drawn again. A click after it leads nowhere.
await page.evaluate(() => { globalThis.isSame = true })
await drag(page, { x: 600, y: 300 }, { x: 400, y: 350 })
let view = await moved(page, START)
const { by, left, top } = await measures(page)
near(view.lng, START.lng + 200 / by * 360 / (256 * 2 ** 10), 0.002)
assert.ok(view.lat > START.lat && view.zoom === START.zoom, JSON.stringify(view))
assert.equal(await transform(page), 'translate(0 0) scale(1)')
await drawn(page)

// A click on a place does lead to it.
await page.goto('/map')
const place = page.locator('.map a[href^="/places/"]').last()
const address = await place.getAttribute('href')
await place.locator('circle').click()
await page.waitForURL(`**${address}`)
await page.goto(path(START))
await page.evaluate(() => { globalThis.isSame = true })

// The wheel zooms, and what is under the mouse stays there.
await page.mouse.move(left + 300, top + 200)
await page.mouse.wheel(0, -100)
view = await moved(page, START)
assert.equal(view.zoom, START.zoom + 1)
assert.ok(view.lng < START.lng && view.lat > START.lat, JSON.stringify(view))
await page.mouse.wheel(0, 100)
view = await moved(page, view)
assert.equal(view.zoom, START.zoom)
near(view.lng, START.lng, 0.001)
await page.mouse.dblclick(left + 700, top + 40)
view = await moved(page, view)
assert.equal(view.zoom, START.zoom + 1)

// Keys, in the map and on its links, which keep the focus.
await page.locator('[data-movable]').focus()
for (const [key, holds] of [
  ['ArrowRight', (now, before) => now.lng > before.lng],
  ['ArrowUp', (now, before) => now.lat > before.lat],
  ['-', (now, before) => now.zoom === before.zoom - 1],
  ['+', (now, before) => now.zoom === before.zoom + 1]
]) {
  const before = view
  await page.keyboard.press(key)
  view = await moved(page, before)
  assert.ok(holds(view, before), `${key}: ${JSON.stringify([before, view])}`)
}
const scrolled = await page.evaluate(() => scrollY)
assert.equal(scrolled, 0)
await page.getByRole('link', { name: 'Move left' }).focus()
await page.keyboard.press('Enter')
view = await moved(page, view)
assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Move left')
assert.ok(await page.evaluate(() => globalThis.isSame), 'the page was not loaded again')
await page.reload()
assert.deepEqual(await shown(page), view, 'the address has what is shown')

// Beyond its ends, the map does not move, and the page scrolls.
await page.goto('/map?lat=85&lng=180&zoom=15')
await drag(page, { x: 300, y: 300 }, { x: 200, y: 400 })
await page.mouse.wheel(0, -100)
assert.deepEqual(await shown(page), { lat: 85, lng: 180, zoom: 15 })

// Fingers: one moves the map, two zoom it.
const phone = await open(browser, problems, { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true })
await phone.goto(path(START))
await inspect(phone, problems)
const touch = await phone.context().newCDPSession(phone)
const fingers = async (type, ...points) => touch.send('Input.dispatchTouchEvent', { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) })
const { top: above } = await measures(phone)
await fingers('touchStart', [200, above + 100])
for (const x of [180, 150, 100]) await fingers('touchMove', [x, above + 100])
await fingers('touchEnd')
view = await moved(phone, START)
assert.ok(view.lng > START.lng && view.zoom === START.zoom, JSON.stringify(view))
await fingers('touchStart', [180, above + 100], [210, above + 100])
for (const by of [10, 30, 60]) await fingers('touchMove', [180 - by, above + 100], [210 + by, above + 100])
await fingers('touchEnd')
view = await moved(phone, view)
assert.equal(view.zoom, START.zoom + 2)

// A person's own map has tiles, too. Without scripts, links move the map, and the tiles come.
const plain = await open(browser, problems, { javaScriptEnabled: false })
await plain.goto('/log-in')
await plain.getByLabel('E-mail address').fill(EMAIL)
await plain.getByLabel('Password').fill(PASSWORD)
await plain.getByRole('button', { name: 'Log in' }).click()
await plain.goto('/me')
await plain.getByText('© the tests').waitFor()
assert.ok(await plain.locator('.map image').count() > 0)
asked.clear()
await plain.goto(path(START))
assert.equal(await plain.getByText('Drag the map').isVisible(), false)
await plain.getByRole('link', { name: 'Zoom in' }).click()
await plain.waitForURL('**zoom=11')
await plain.getByText('© the tests').waitFor()
assert.ok([...asked].some((tile) => tile.startsWith('/11/')), [...asked].join(' '))

await browser.close()
tiles.close()
stranger.close()
console.log(JSON.stringify(problems))

async function serve (port, ask) {
  const server = createServer(({ url }, answer) => {
    ask(url)
    answer.writeHead(200, { 'content-type': 'image/png', connection: 'close' }).end(PIXEL)
  })
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))
  return server
}

function path ({ lat, lng, zoom }) {
  return `/map?lat=${lat}&lng=${lng}&zoom=${zoom}`
}

async function shown (tab) {
  const { lat, lng, zoom } = await tab.locator('.map svg').evaluate((picture) => ({ ...picture.dataset }))
  return { lat: Number(lat), lng: Number(lng), zoom: Number(zoom) }
}

// What the map shows, as soon as it is drawn and shows something else than before.
async function moved (tab, before) {
  for (let tries = 0; tries < 200; tries++) {
    const now = await shown(tab)
    if (JSON.stringify(now) !== JSON.stringify(before) && await transform(tab) === 'translate(0 0) scale(1)') return now
    await tab.waitForTimeout(25)
  }
  throw new Error(`${CONSOLE}: the map does not move: ${JSON.stringify(before)}`)
}

async function transform (tab) {
  return tab.locator('[data-picture]').getAttribute('transform')
}

async function drag (tab, from, to) {
  const { left, top } = await measures(tab)
  await tab.mouse.move(left + from.x, top + from.y)
  await tab.mouse.down()
  await tab.mouse.move(left + to.x, top + to.y, { steps: 5 })
  await tab.mouse.up()
}

// Where the map is, and how large its pixels are.
async function measures (tab) {
  return tab.locator('.map svg').evaluate((picture) => {
    const { left, top } = picture.getBoundingClientRect()
    return { left, top, by: picture.getScreenCTM().a }
  })
}

// Waits until each tile is a picture.
async function drawn (tab) {
  await tab.locator('.map').evaluate(async (map) => Promise.all([...map.querySelectorAll('image')].map((image) => image.decode())))
}

function near (number, wanted, most) {
  assert.ok(Math.abs(number - wanted) <= most, `${number} is not ${wanted}`)
}
