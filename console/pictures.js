// Draws each page, light and dark, wide and as on a phone, into a folder.
//   CONSOLE=http://127.0.0.1:8080 EMAIL=… PASSWORD=… node pictures.js FOLDER
import { mkdirSync } from 'node:fs'
import { launch, open } from './browser.js'

const { EMAIL, PASSWORD } = process.env
const folder = process.argv[2] ?? 'pictures'
const PAGES = { home: '/', places: '/places', place: '/places/5', map: '/map', leaders: '/leaders?period=all', me: '/me', account: '/me/account', forgotten: '/log-in/forgotten', 'log-in': '/log-in', 'sign-up': '/sign-up' }
// Drawn if the account is an operator's. With WATCH=60 the charts are watched for a minute before.
const OPERATOR = { operator: '/operator', 'operator-sessions': '/operator/sessions?account=77', 'operator-dead-letters': '/operator/dead-letters', 'operator-security-events': '/operator/security-events', 'operator-doctor': '/operator/doctor' }
const WATCH = Number(process.env.WATCH ?? 0)
const FORMS = {
  light: { colorScheme: 'light' },
  dark: { colorScheme: 'dark' },
  phone: { colorScheme: 'light', viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }
}

mkdirSync(folder, { recursive: true })
const browser = await launch()
const problems = []
for (const [form, options] of Object.entries(FORMS)) {
  const page = await open(browser, problems, options)
  const draw = async (name, path) => {
    await page.goto(path)
    if (path === '/operator') await page.waitForTimeout(WATCH * 1000)
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
await browser.close()
for (const problem of problems) console.error(problem)
