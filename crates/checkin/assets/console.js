// Everything works without this script. It shows times as people say them, new check-ins as they happen, and
// what is near.

const SHOWN = 20
const UNITS = [['day', 86400], ['hour', 3600], ['minute', 60]]
const ago = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })

function said (time) {
  const seconds = (Date.now() - Date.parse(time)) / 1000
  if (seconds < 60) return 'just now'
  if (seconds > 30 * 86400) return new Date(time).toLocaleDateString('en', { dateStyle: 'medium' })
  const [unit, length] = UNITS.find(([, length]) => seconds >= length)
  return ago.format(-Math.floor(seconds / length), unit)
}

function showTimes () {
  for (const time of document.querySelectorAll('time')) {
    time.title ||= time.textContent
    time.textContent = said(time.dateTime)
  }
}

showTimes()
setInterval(showTimes, 30_000)

for (const near of document.querySelectorAll('[data-near]')) {
  near.addEventListener('click', (event) => {
    event.preventDefault()
    near.textContent = 'Looking for you …'
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => { location.href = `/places?lat=${coords.latitude.toFixed(5)}&lng=${coords.longitude.toFixed(5)}` },
      () => { near.textContent = 'Your browser did not say where you are' }
    )
  })
}

const feed = document.querySelector('[data-live]')
if (feed) {
  const places = new Map()
  // The name of a place is asked for once.
  const placeName = (id) => {
    if (!places.has(id)) {
      places.set(id, fetch(`/api/location/${id}`).then((answer) => answer.json()).then(({ name }) => name))
    }
    return places.get(id)
  }
  const element = (tag, text, attributes = {}) => {
    const made = document.createElement(tag)
    made.textContent = text
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
    return made
  }
  let waiting = 0
  // A point of the map lights up for each of its check-ins.
  const lightUp = (point) => {
    if (!point) return
    point.classList.remove('new')
    point.getBoundingClientRect()
    point.classList.add('new')
  }
  new EventSource('/api/checkins/stream').addEventListener('checkin', async (event) => {
    const { firstName, lastName, locationId, starRating, timestamp, comment } = JSON.parse(event.data)
    lightUp(document.querySelector(`[data-place="${locationId}"]`))
    // A check-in without a name has no user. With more than a few a second nobody could read them.
    if (firstName === undefined || waiting >= 5) return
    waiting += 1
    try {
      const place = await placeName(locationId)
      const item = element('li', '', { class: 'new' })
      const stars = element('span', '★'.repeat(starRating) + '☆'.repeat(5 - starRating),
        { class: 'stars', role: 'img', 'aria-label': `${starRating} of 5 stars` })
      const time = element('time', 'just now', { datetime: new Date(timestamp).toISOString() })
      item.append(element('b', `${firstName} ${lastName}`.trimEnd()), ' at ', element('a', place, { href: `/places/${locationId}` }), ' ', stars, ' ', time)
      if (comment) item.append(' ', element('q', comment))
      feed.prepend(item)
      while (feed.children.length > SHOWN) feed.lastElementChild.remove()
    } finally {
      waiting -= 1
    }
  })
}

// The walk-through goes on by itself, and keeps what the earlier steps have shown.
const PAUSE = 2500
const walk = document.querySelector('[data-walk]')
if (walk) {
  const items = (page) => [...page.querySelectorAll('ol > li')]
  walk.addEventListener('submit', async (event) => {
    event.preventDefault()
    const { submitter, target: form } = event
    const body = new URLSearchParams(new FormData(form, submitter))
    submitter.disabled = true
    const answer = await fetch(form.action, { method: 'POST', body })
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector('[data-walk]')
    if (!page) return location.reload()
    const old = items(walk)
    items(page).forEach((item, at) => {
      if (item.querySelector('.exchange') || !item.classList.contains('done')) old[at].replaceWith(item)
    })
    form.replaceWith(page.lastElementChild)
    const next = walk.querySelector('button')
    // The session is over.
    if (!next) for (const time of walk.querySelectorAll('[data-seconds]')) time.removeAttribute('data-seconds')
    if (next && !('failed' in next.dataset)) setTimeout(() => next.click(), PAUSE)
  })
  setInterval(() => {
    for (const time of walk.querySelectorAll('[data-seconds]')) time.textContent = Math.max(0, time.textContent - 1)
  }, 1000)
}

// The link of a message has its token in the fragment, which browsers send to no server.
const tokenForm = document.querySelector('[data-token]')
function takeToken () {
  const token = new URLSearchParams(location.hash.slice(1)).get('token')
  if (!tokenForm || !token) return
  tokenForm.elements.token.value = token
  tokenForm.querySelector('[data-given]').hidden = true
  history.replaceState(null, '', location.pathname)
}
takeToken()
addEventListener('hashchange', takeToken)
