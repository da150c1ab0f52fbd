// The story of a new person, in a browser: signing up, finding a place, checking in, seeing it live, a second session,
// a new password, privacy, logging out, deleting the account. With SCRIPTS=off, without scripts; with INSPECT=off, without axe.
// Prints one JSON line with what is wrong.
//   CONSOLE=http://127.0.0.1:8080 node story.js
import assert from 'node:assert/strict'
import { inspect, launch, open } from './browser.js'

const scripts = process.env.SCRIPTS !== 'off'
const EMAIL = `new-${scripts}@example.com`
const PASSWORD = 'a lighthouse keeper reads at night'
const OTHER = 'the ferry leaves at a quarter to nine'
const problems = []
const browser = await launch()
const options = { javaScriptEnabled: scripts }
const page = await open(browser, problems, options)
page.on('request', (request) => { if (request.url().includes('/api/user/')) problems.push(request.url()) })
const look = async () => { if (scripts && process.env.INSPECT !== 'off') await inspect(page, problems) }

await page.goto('/')
await look()

// The walk-through goes on by itself. Without scripts, each step is a form.
await page.getByRole('button', { name: 'Start' }).click()
for (let steps = 2; !scripts && steps <= 5; steps++) await page.getByRole('button', { name: 'Next step' }).click()
await page.getByText('There is nothing under this key.').waitFor()
if (scripts) {
  const told = await page.locator('.walk').innerText()
  for (const part of ['401 Unauthorized', 'Set-Cookie: checkinapp=s%3A', '"user":"al.appelhof@example.com"', '202 Accepted']) assert.ok(told.includes(part), told)
}
await look()
await page.goto('/')
await page.getByRole('link', { name: 'Sign up' }).first().click()
await look()
await page.getByLabel('First name').fill('Ada')
await page.getByLabel('Last name').fill('Ferry')
await page.getByLabel('E-mail address').fill(EMAIL)
await page.getByLabel('Password').fill('x')
await page.getByRole('button', { name: 'Sign up' }).click()
// The form says what is wrong, and keeps what was right.
await page.getByText(/^It must have at least \d+ characters\.$/).waitFor()
assert.equal(await page.getByLabel('First name').inputValue(), 'Ada')
await page.getByLabel('Password').fill(PASSWORD)
await page.getByRole('button', { name: 'Sign up' }).click()
await page.getByRole('heading', { name: 'Hello, Ada' }).waitFor()
await look()

// The other person watches the first page.
const other = await open(browser, problems, options)
other.on('request', (request) => { if (request.url().includes('/api/user/')) problems.push(request.url()) })
await logIn(other, 'al.appelhof@example.com', 'secret123')
await other.getByRole('heading', { name: 'Hello, Al' }).waitFor()

await page.getByRole('link', { name: 'Places' }).first().click()
await look()
await page.getByLabel('Category').selectOption('cafe')
await page.getByLabel('Rating').selectOption('3')
await page.getByRole('button', { name: 'Search' }).click()
await page.getByRole('heading', { name: /^Places( around .*)?$/, level: 2 }).waitFor()
await look()
const place = page.locator('.card a').first()
const name = await place.innerText()
await place.click()
await page.getByRole('heading', { level: 1, name }).waitFor()
await look()
await page.getByRole('button', { name: 'Check in with 4 of 5 stars' }).click()
await page.getByText('You have checked in. Your rating: 4 of 5 stars.').waitFor()
await look()
if (scripts) {
  await other.locator('.feed .new').filter({ hasText: 'Ada Ferry' }).filter({ hasText: name }).waitFor()
}
await page.getByRole('button', { name: 'Check in with 4 of 5 stars' }).click()
await page.getByText('You have checked in here with these stars a moment ago.').waitFor()
await look()

await page.getByRole('link', { name: 'Leaders' }).click()
await look()

await page.getByRole('link', { name: 'Map', exact: true }).click()
await look()
await page.getByRole('link', { name: 'Zoom in' }).click()
await page.getByRole('link', { name: 'Move left' }).click()
await page.getByRole('link', { name: 'Zoom out' }).click()
await page.getByRole('link', { name, exact: true }).waitFor({ state: 'attached' })

// The history has it when a processor has applied it.
await page.getByRole('link', { name: 'Ada' }).click()
const own = page.locator('.feed').getByRole('link', { name, exact: true })
for (let tries = 0; tries < 100 && await own.count() === 0; tries++) await page.reload()
await own.waitFor()
await look()

await page.getByRole('img', { name: /^1 check-ins? on 1 days? of the last year$/ }).waitFor()
await page.getByRole('link', { name: 'Your account' }).click()
await look()

// A mistaken check-in.
await page.goto('/me')
await page.getByRole('button', { name: `Delete the check-in at ${name}` }).click()
await page.getByText('The check-in is deleted.').waitFor()
for (let tries = 0; tries < 100 && await own.count() > 0; tries++) await page.reload()
assert.equal(await own.count(), 0)
await page.goto('/me/account')

// A second session of the same person, which the first one ends.
const phone = await open(browser, problems, { ...options, userAgent: 'A phone' })
await logIn(phone, EMAIL, PASSWORD)
await page.reload()
await page.getByRole('button', { name: 'End the session of A phone' }).click()
await page.getByText('The session has ended.').waitFor()
await phone.goto('/me')
await phone.getByRole('heading', { name: 'Log in' }).waitFor()

await page.getByLabel('Only you').check()
await page.getByRole('button', { name: 'Store' }).click()
await page.getByText('Your choice is stored.').waitFor()
assert.ok(await page.getByLabel('Only you').isChecked())

await changePassword('not the password of anybody')
await page.getByText(/The current password must be/).waitFor()
await look()
await changePassword(PASSWORD)
await page.getByText('Your password is changed').waitFor()

await page.getByRole('button', { name: 'Log out' }).click()
await page.getByRole('link', { name: 'Log in' }).first().waitFor()
await page.goto('/me')
await look()
await page.getByLabel('E-mail address').fill(EMAIL)
await page.getByLabel('Password').fill(PASSWORD)
await page.getByRole('button', { name: 'Log in' }).click()
await page.getByText('The address and the password do not belong together.').waitFor()
await look()
// Back to the page that asked for the login.
await page.getByLabel('Password').fill(OTHER)
await page.getByRole('button', { name: 'Log in' }).click()
await page.getByRole('heading', { name: 'Ada Ferry' }).waitFor()
assert.equal(new URL(page.url()).pathname, '/me')

// The end of the account.
await page.getByRole('link', { name: 'Your account' }).click()
await page.getByText('Delete it for ever').click()
const end = page.locator('form[action="/me/delete"]')
await end.getByLabel('Current password').fill('not the password of anybody')
await end.getByRole('button').click()
await page.getByText('The current password must be').waitFor()
await page.getByText('Delete it for ever').click()
await end.getByLabel('Current password').fill(OTHER)
await end.getByRole('button').click()
await page.getByText('Your account is deleted.').waitFor()
await look()
await page.goto('/log-in')
await page.getByLabel('E-mail address').fill(EMAIL)
await page.getByLabel('Password').fill(OTHER)
await page.getByRole('button', { name: 'Log in' }).click()
await page.getByText('The address and the password do not belong together.').waitFor()

await page.goto('/places/999999')
await page.getByRole('heading', { name: 'There is no such location' }).waitFor()
await look()

await browser.close()
console.log(JSON.stringify(problems))

async function logIn (tab, email, password) {
  await tab.goto('/log-in')
  await tab.getByLabel('E-mail address').fill(email)
  await tab.getByLabel('Password').fill(password)
  await tab.getByRole('button', { name: 'Log in' }).click()
  await tab.getByRole('heading', { name: /^Hello/ }).waitFor()
}

async function changePassword (current) {
  const form = page.locator('form[action="/me/password"]')
  await form.getByLabel('Current password').fill(current)
  await form.getByLabel('New password').fill(OTHER)
  await page.getByRole('button', { name: 'Change the password' }).click()
}
