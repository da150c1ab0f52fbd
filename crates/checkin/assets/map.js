// Moves the map by a mouse, by fingers and by keys; without this script, links do. The server draws each picture. Until
// it is there, the one that is shown is moved and scaled.

const [WIDTH, HEIGHT, TILE] = [960, 560, 256]
const ZOOMS = [1, 15]
// Parts of the picture: of a key's step, and after which a new one is drawn while the map is still being dragged.
const [STEP, FAR] = [0.25, 0.3]
// What a finger or a hand moves while it only clicks, in pixels.
const SLIGHT = 5
// The pause after which turning the wheel has ended, in milliseconds, and how far it turns for a step.
const [SETTLED, NOTCH] = [150, 100]

// The square of the whole earth has the side 1.
const projected = (latitude) => (1 - Math.asinh(Math.tan(latitude * Math.PI / 180)) / Math.PI) / 2
const latitude = (y) => Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180 / Math.PI
const ENDS = [projected(85), projected(-85)]
const within = ([least, most], value) => Math.min(most, Math.max(least, value))
const scale = (zoom) => TILE * 2 ** zoom

const map = document.querySelector('[data-movable]')
let shown = viewOf(map.querySelector('svg').dataset)
let wanted = { ...shown }
let isDrawing = false
let drawn = address(shown)
const pointers = new Map()
let start
let hasMoved = false
let settling

function viewOf ({ lat, lng, zoom }) {
  return { x: (Number(lng) + 180) / 360, y: projected(Number(lat)), zoom: Number(zoom) }
}

function address ({ x, y, zoom }) {
  return `/map?lat=${latitude(y).toFixed(5)}&lng=${(x * 360 - 180).toFixed(5)}&zoom=${Math.round(zoom)}`
}

// Shows the wanted part with the picture that is there.
function show () {
  const by = 2 ** (wanted.zoom - shown.zoom)
  const at = (size, from, to) => size / 2 - by * (size / 2 + (to - from) * scale(shown.zoom))
  const [left, top] = [at(WIDTH, shown.x, wanted.x), at(HEIGHT, shown.y, wanted.y)]
  map.querySelector('[data-picture]').setAttribute('transform', `translate(${left} ${top}) scale(${by})`)
}

function moveBy (right, down) {
  wanted.x = within([0, 1], wanted.x + right / scale(wanted.zoom))
  wanted.y = within(ENDS, wanted.y + down / scale(wanted.zoom))
  show()
}

// What is under the point stays there. Returns whether the map goes so far.
function zoomBy (steps, { x, y } = { x: WIDTH / 2, y: HEIGHT / 2 }) {
  const zoom = within(ZOOMS, wanted.zoom + steps)
  if (zoom === wanted.zoom) return false
  const factor = 1 / scale(wanted.zoom) - 1 / scale(zoom)
  wanted.x = within([0, 1], wanted.x + (x - WIDTH / 2) * factor)
  wanted.y = within(ENDS, wanted.y + (y - HEIGHT / 2) * factor)
  wanted.zoom = zoom
  show()
  return true
}

function isDue () {
  if (pointers.size === 0) return address(wanted) !== drawn
  const far = (size, from, to) => Math.abs(to - from) * scale(wanted.zoom) > size * FAR
  return far(WIDTH, shown.x, wanted.x) || far(HEIGHT, shown.y, wanted.y)
}

// Draws one picture at a time, until the last one is what is wanted.
async function draw () {
  if (isDrawing) return
  isDrawing = true
  try {
    while (isDue()) {
      drawn = address(wanted)
      const answer = await fetch(drawn)
      const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
      const picture = page.querySelector('[data-movable]')
      // The server is busy, or down: the next movement tries again.
      if (!picture) break
      replace(picture)
    }
  } catch {
    drawn = ''
  } finally {
    isDrawing = false
  }
}

function replace (picture) {
  const isInside = map !== document.activeElement && map.contains(document.activeElement)
  const label = isInside && document.activeElement.getAttribute('aria-label')
  map.replaceChildren(...picture.childNodes)
  const same = label && [...map.querySelectorAll('a')].find((link) => link.getAttribute('aria-label') === label)
  if (isInside) (same || map).focus({ preventScroll: true })
  shown = viewOf(map.querySelector('svg').dataset)
  // The address has rounded numbers.
  if (!isDue()) wanted = { ...shown }
  history.replaceState(null, '', drawn)
  show()
}

// A point of the window, in the picture.
function point ({ clientX, clientY }) {
  return new DOMPoint(clientX, clientY).matrixTransform(map.querySelector('svg').getScreenCTM().inverse())
}

// The middle of the pointers, and how far two of them are apart.
function grip () {
  const [one, two = one] = [...pointers.values()]
  return { x: (one.x + two.x) / 2, y: (one.y + two.y) / 2, span: Math.hypot(one.x - two.x, one.y - two.y) }
}

function hold (event) {
  if (event.button !== 0 || event.target.closest('nav')) return
  if (pointers.size === 0) [start, hasMoved] = [event, false]
  if (pointers.size < 2) pointers.set(event.pointerId, point(event))
}

function drag (event) {
  if (!pointers.has(event.pointerId)) return
  hasMoved ||= pointers.size > 1 || Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) > SLIGHT
  if (!hasMoved) return
  map.classList.add('moving')
  // Only now: a captured click would not reach the place below it.
  map.setPointerCapture(event.pointerId)
  const before = grip()
  pointers.set(event.pointerId, point(event))
  const after = grip()
  moveBy(before.x - after.x, before.y - after.y)
  if (before.span > 0 && after.span > 0) zoomBy(Math.log2(after.span / before.span), after)
  draw()
}

function release (event) {
  if (!pointers.has(event.pointerId)) return
  const last = grip()
  pointers.delete(event.pointerId)
  if (pointers.size === 0) settle(last)
}

// Zooms to the nearest whole step.
function settle (at) {
  map.classList.remove('moving')
  zoomBy(Math.round(wanted.zoom) - wanted.zoom, at)
  draw()
}

function turn (event) {
  const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 : 1
  const at = point(event)
  // At its ends, the page scrolls.
  if (!zoomBy(within([-1, 1], -event.deltaY * lines / NOTCH), at)) return
  event.preventDefault()
  clearTimeout(settling)
  settling = setTimeout(settle, SETTLED, at)
}

function press (event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return
  const steps = {
    ArrowLeft: () => moveBy(-WIDTH * STEP, 0),
    ArrowRight: () => moveBy(WIDTH * STEP, 0),
    ArrowUp: () => moveBy(0, -HEIGHT * STEP),
    ArrowDown: () => moveBy(0, HEIGHT * STEP),
    '+': () => zoomBy(1),
    '=': () => zoomBy(1),
    '-': () => zoomBy(-1)
  }
  const step = steps[event.key]
  if (!step) return
  event.preventDefault()
  step()
  draw()
}

// A click after a movement belongs to it. Links that move the map need no other page.
function click (event) {
  const link = event.target.closest('nav a')
  const isOpened = event.ctrlKey || event.metaKey || event.shiftKey
  if (hasMoved && event.detail > 0 && !link) {
    event.preventDefault()
    event.stopPropagation()
  } else if (link && !isOpened) {
    event.preventDefault()
    wanted = viewOf(Object.fromEntries(new URL(link.href).searchParams))
    show()
    draw()
  }
}

map.classList.add('movable')
map.tabIndex = 0
map.setAttribute('role', 'group')
map.setAttribute('aria-label', 'Map, moved by the arrow keys, + and −')
document.querySelector('[data-hint]').hidden = false
map.addEventListener('pointerdown', hold)
map.addEventListener('pointermove', drag)
addEventListener('pointerup', release)
addEventListener('pointercancel', release)
map.addEventListener('wheel', turn, { passive: false })
map.addEventListener('dblclick', (event) => { if (!event.target.closest('nav')) { zoomBy(1, point(event)); draw() } })
map.addEventListener('keydown', press)
map.addEventListener('click', click, true)
map.addEventListener('dragstart', (event) => event.preventDefault())
