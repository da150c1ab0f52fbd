// The operator's view, live. Every two seconds it asks for the overview, shows its figures, and draws what happened
// since the last answer. The tables of the page have the same figures without this script.
/* global uPlot */

const EVERY = 2000
const SHOWN = 300
const DASH = '–'

const main = document.querySelector('[data-overview]')
const status = document.querySelector('[data-status]')
const decimal = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })
const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const UNITS = [['day', 86400], ['h', 3600], ['min', 60], ['s', 1]]

function duration (ms) {
  if (ms < 1000) return `${whole.format(ms)} ms`
  const [unit, seconds] = UNITS.find(([, seconds]) => ms >= seconds * 1000)
  const number = Math.floor(ms / seconds / 1000)
  return `${whole.format(number)} ${unit === 'day' && number > 1 ? 'days' : unit}`
}

// Each figure is computed from the last two answers.
const perSecond = (read) => (now, before) => {
  if (!before || now.process.uptimeMs < before.process.uptimeMs) return null
  return Math.max(0, read(now) - read(before)) / ((now.at - before.at) / 1000)
}
const READ = {
  accepted: perSecond(({ log }) => log.accepted),
  counted: perSecond(({ log }) => log.counted),
  waiting: ({ log }) => log.waiting,
  requests: perSecond(({ process }) => process.requests),
  errors: perSecond(({ process }) => process.serverErrors),
  logins: perSecond(({ process }) => process.logins),
  failures: perSecond(({ process }) => process.failedLogins),
  ping: ({ store }) => store.available ? store.pingMs : null,
  alive: ({ sessions }) => sessions?.alive ?? null,
  loggedIn: ({ sessions }) => sessions?.loggedIn ?? null,
}
const rate = (value) => `${decimal.format(value)}/s`
const number = (value) => whole.format(value)
const milliseconds = (value) => `${decimal.format(value)} ms`
const CHARTS = {
  'check-ins': [['accepted', rate], ['counted', rate]],
  lag: [['waiting', number]],
  requests: [['requests', rate], ['errors', rate]],
  logins: [['logins', rate], ['failures', rate]],
  store: [['ping', milliseconds]],
  sessions: [['alive', number], ['loggedIn', number]],
}

const samples = [] // of all figures, each as [seconds, {name: value}]
let drawn = []

function charts () {
  for (const chart of drawn) chart.plot.destroy()
  const style = getComputedStyle(document.documentElement)
  const colour = (name) => style.getPropertyValue(name).trim()
  const axis = { stroke: colour('--muted'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' }
  drawn = [...document.querySelectorAll('[data-chart]')].map((place) => {
    const lines = CHARTS[place.dataset.chart]
    const series = lines.map(([name], at) => {
      const stroke = colour(at === 0 ? '--first' : '--second')
      return { label: name, stroke, width: 2, fill: at === 0 ? `${stroke}22` : undefined, points: { show: false }, spanGaps: false }
    })
    const plot = new uPlot({
      width: place.clientWidth,
      height: 150,
      legend: { show: false },
      cursor: { show: false },
      padding: [8, 20, 0, 0],
      scales: { y: { range: (_, low, high) => [0, Math.max(1, high * 1.15)] } },
      axes: [
        { ...axis, size: 26, space: 70, values: (_, times) => times.map((time) => new Date(time * 1000).toLocaleTimeString('en', { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false })) },
        { ...axis, size: 48, space: 36, values: (_, values) => values.map((value) => decimal.format(value)) },
      ],
      series: [{}, ...series],
    }, dataOf(lines), place)
    return { plot, place, lines }
  })
}

function dataOf (lines) {
  return [samples.map(([time]) => time), ...lines.map(([name]) => samples.map(([, figures]) => figures[name]))]
}

function show (selector, text) {
  for (const place of document.querySelectorAll(`[data-figure="${selector}"]`)) {
    if (place.textContent !== text) place.textContent = text
  }
}

function cell (content, attributes = {}) {
  const made = document.createElement('td')
  made.append(content)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  return made
}

function rows (name, list) {
  const body = document.querySelector(`[data-rows="${name}"]`)
  body.replaceChildren(...list.map((cells) => {
    const row = document.createElement('tr')
    row.append(...cells)
    return row
  }))
}

const NUMBER = { class: 'number' }
const WIDE = { class: 'number wide' }

function showFigures (now, figures) {
  const { log, processors, sessions, store, process } = now
  const said = (value, write) => value === null ? DASH : write(value)
  show('accepted', said(figures.accepted, decimal.format))
  show('accepted-total', number(log.accepted))
  show('waiting', number(log.waiting))
  show('oldest', log.waiting ? `oldest ${duration(log.oldestWaitingMs)}` : 'none waits')
  show('processors', number(processors.length))
  show('partitions', `${log.partitions.filter(({ processor }) => processor).length} of ${log.partitions.length} partitions held`)
  show('alive', said(figures.alive, (alive) => sessions.complete ? number(alive) : `${number(alive)}+`))
  show('logged-in', sessions ? `${number(sessions.loggedIn)} logged in` : 'being counted')
  show('logins', number(process.logins))
  show('failures', `${number(process.failedLogins)} failed`)
  show('hit-rate', process.sessionCache ? said(hitRate(process.sessionCache), (percent) => `${decimal.format(percent)} %`) : DASH)
  show('hits', process.sessionCache ? `${number(process.sessionCache.hits)} hits` : 'no cache')
  show('ping', store.available ? milliseconds(store.pingMs) : 'down')
  show('store', store.fault ?? `${number(store.failures)} failures`)
  show('dead-letters', number(log.deadLetters))
  show('requests', number(process.requests))
  show('errors', `${number(process.serverErrors)} errors`)
  show('uptime', duration(process.uptimeMs))
  for (const tile of document.querySelectorAll('[data-alarm]')) {
    const alarms = { store: !store.available, dead: log.deadLetters > 0, processors: processors.length === 0 }
    tile.classList.toggle('alarm', alarms[tile.dataset.alarm] ?? false)
  }
  rows('partitions', log.partitions.map(({ partition, entries, waiting, oldestWaitingMs, deadLetters, processor }) => [
    cell(String(partition)), cell(number(entries), WIDE), cell(number(waiting), NUMBER),
    cell(waiting ? duration(oldestWaitingMs) : DASH, NUMBER), cell(number(deadLetters), WIDE), cell(processor ?? 'nobody')
  ]))
  rows('processors', processors.length
    ? processors.map(({ name, partitions, expiresInMs }) => [cell(name), cell(partitions.join(', ') || DASH), cell(duration(expiresInMs), NUMBER)])
    : [[cell('No processor is alive. Check-ins are accepted, and wait.', { colspan: 3 })]])
  const sampled = sessions?.byAge.reduce((sum, { count }) => sum + count, 0)
  show('sampled', number(sampled ?? 0))
  const ages = [...document.querySelectorAll('[data-ages] tr')]
  sessions?.byAge.forEach(({ count }, at) => {
    // The page was made before they were counted.
    if (!ages[at]) return
    const meter = ages[at].querySelector('meter')
    meter.max = Math.max(1, sampled)
    meter.value = count
    ages[at].querySelector('.number').textContent = number(count)
  })
}

function hitRate ({ hits, misses }) {
  return hits + misses ? hits / (hits + misses) * 100 : null
}

function take (now, before) {
  const figures = Object.fromEntries(Object.entries(READ).map(([name, read]) => [name, read(now, before)]))
  samples.push([now.at / 1000, figures])
  samples.splice(0, samples.length - SHOWN)
  showFigures(now, figures)
  for (const { plot, lines, place } of drawn) {
    plot.setData(dataOf(lines))
    lines.forEach(([name, write], at) => {
      const key = place.parentElement.querySelectorAll('[data-key]')[at]
      key.textContent = figures[name] === null ? DASH : write(figures[name])
    })
  }
}

let before = null
let paused = false
let asking = false

async function ask () {
  if (paused || asking || document.hidden) return
  asking = true
  try {
    const answer = await fetch('/operations/overview', { headers: { accept: 'application/json' } })
    // The session has ended, or the role was taken: the page says so.
    if (answer.status === 401 || answer.status === 403) return location.reload()
    if (!answer.ok) throw new Error(`status ${answer.status}`)
    const now = await answer.json()
    take(now, before)
    before = now
    say('Live, every 2 seconds')
  } catch {
    say('No answer. Trying again …')
  } finally {
    asking = false
  }
}

function say (text) {
  if (!paused && status.textContent !== text) status.textContent = text
}

if (main) {
  document.querySelector('[data-charts]').hidden = false
  const button = document.querySelector('[data-pause]')
  button.hidden = false
  document.querySelector('[data-reload]').hidden = true
  button.addEventListener('click', () => {
    paused = !paused
    button.textContent = paused ? 'Continue' : 'Pause'
    status.textContent = paused ? 'Paused' : 'Live, every 2 seconds'
    ask()
  })
  charts()
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', charts)
  addEventListener('resize', () => drawn.forEach(({ plot, place }) => plot.setSize({ width: place.clientWidth, height: 150 })))
  // Two answers soon, so that there are rates.
  ask().then(() => setTimeout(ask, 500))
  setInterval(ask, EVERY)
}
