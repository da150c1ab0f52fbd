// Draws each page, light and dark, wide and as on a phone, into a folder. Meanwhile a visitor logs in and checks in.
//   CONSOLE=http://127.0.0.1:8080 EMAIL=… PASSWORD=… node pictures.js FOLDER
import { mkdirSync } from 'node:fs'
import { launch, open } from './browser.js'

const { EMAIL, PASSWORD } = process.env
const folder = process.argv[2] ?? 'pictures'
const PAGES = { home: '/', places: '/places', place: '/places/5', map: '/map', leaders: '/leaders?period=all', me: '/me', account: '/me/account', forgotten: '/log-in/forgotten', 'log-in': '/log-in', 'sign-up': '/sign-up' }
// Drawn if the account is an operator's.
const OPERATOR = { operator: '/operator', 'operator-sessions': '/operator/sessions?account=77', 'operator-dead-letters': '/operator/dead-letters', 'operator-security-events': '/operator/security-events', 'operator-doctor': '/operator/doctor' }
// The charts have a point for each answer but the first: these are 30 seconds.
const POINTS = 15
const FORMS = {
  light: { colorScheme: 'light' },
  dark: { colorScheme: 'dark' },
  phone: { colorScheme: 'light', viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }
}

mkdirSync(folder, { recursive: true })
const browser = await launch()
const problems = []
const traffic = visit(new AbortController())
for (const [form, options] of Object.entries(FORMS)) {
  const page = await open(browser, problems, options)
  const draw = async (name, path) => {
    await page.goto(path)
    if (path === '/operator') await watch(page)
    await page.screenshot({ path: `${folder}/${name}-${form}.png`, fullPage: true })
  }
  await draw('welcome', '/')
  await page.getByRole('button', { name: 'Start' }).click()
  await page.getByText('There is nothing under this key.').waitFor()
  await page.screenshot({ path: `${folder}/walk-through-${form}.png`, fullPage: true })
  await page.goto('/log-in')
  await page.getByLabel('E-mail address').fill(EMAIL)
  await page.getByLabel('Password').fill(PASSWORD)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('heading', { name: /^Hello/ }).waitFor()
  const isOperator = await page.getByRole('link', { name: 'Operator' }).count() > 0
  for (const [name, path] of Object.entries({ ...PAGES, ...(isOperator ? OPERATOR : {}) })) await draw(name, path)
}
await traffic.end()
await browser.close()
for (const problem of problems) console.error(problem)

// Waits until the charts have their points.
async function watch (page) {
  for (let answers = 0; answers <= POINTS; answers++) {
    await page.waitForResponse((answer) => answer.ok() && answer.url().endsWith('/operations/overview'))
  }
}

// Logs in now and then, once in four times with a wrong password, and checks in at many places. What a limit refuses
// belongs to the picture.
function visit (stop) {
  const post = (path, body, headers = {}) => fetch(new URL(path, process.env.CONSOLE), {
    method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers }
  })
  const go = async () => {
    let cookie, userId
    for (let turn = 0; !stop.signal.aborted; turn++) {
      if (turn % 12 === 0) {
        const answer = await post('/login', { email: EMAIL, password: turn % 48 === 36 ? 'wrong' : PASSWORD })
        if (answer.ok) {
          cookie = answer.headers.getSetCookie().map((value) => value.split(';')[0]).find((value) => value.startsWith('checkinapp='))
          const session = await fetch(new URL('/session', process.env.CONSOLE), { headers: { cookie } })
          userId = (await session.json()).user.id
        }
      }
      // More and fewer of them, in waves.
      const pause = 250 + 200 * Math.sin(turn / 15)
      await post('/api/checkin', { userId, locationId: 1 + turn % 300, starRating: turn % 6 }, { cookie })
      await new Promise((resolve) => setTimeout(resolve, pause))
    }
  }
  const done = go()
  return { end: () => { stop.abort(); return done } }
}
