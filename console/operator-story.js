// The story of an operator, in a browser: the overview is live, an account is found and its sessions end, a dead letter
// is replayed, the doctor is asked. The account is an operator's, and there is one dead letter.
// With SCRIPTS=off, without scripts. Prints one JSON line with what is wrong.
//   CONSOLE=http://127.0.0.1:8080 EMAIL=… PASSWORD=… OTHER=… node operator-story.js
import assert from 'node:assert/strict'
import { inspect, launch, open } from './browser.js'

const { EMAIL, PASSWORD, OTHER } = process.env
const scripts = process.env.SCRIPTS !== 'off'
const problems = []
const browser = await launch()
const options = { javaScriptEnabled: scripts }
const page = await open(browser, problems, options)
const other = await open(browser, problems, { ...options, userAgent: 'A phone' })
const look = async () => { if (scripts) await inspect(page, problems) }

// A user is refused, and sees no link.
await logIn(other, OTHER)
assert.equal(await other.getByRole('link', { name: 'Operator' }).count(), 0)
for (const path of ['/operator', '/operator/sessions', '/operator/dead-letters', '/operator/security-events', '/operator/doctor']) {
  assert.equal((await other.goto(path)).status(), 403, path)
}

await logIn(page, EMAIL)
await page.getByRole('link', { name: 'Operator' }).click()
await page.getByRole('heading', { name: 'Overview' }).waitFor()
await look()
assert.equal(await figure('dead-letters'), '1')
if (scripts) {
  // Six charts are drawn, and the figures follow what happens.
  await page.getByText('Live, every 2 seconds').waitFor()
  await page.waitForFunction(() => document.querySelectorAll('.chart canvas').length === 6)
  const accepted = number(await figure('accepted-total'))
  await other.goto('/places/5')
  await other.getByRole('button', { name: 'Check in with 5 of 5 stars' }).click()
  await other.getByText('You have checked in.').waitFor()
  await page.waitForFunction((more) => {
    const shown = document.querySelector('[data-figure="accepted-total"]').textContent
    return Number(shown.replaceAll(',', '')) === more
  }, accepted + 1)
  await page.getByRole('button', { name: 'Pause' }).click()
  await page.getByText('Paused').waitFor()
} else {
  await page.getByRole('link', { name: 'Reload' }).click()
}

await page.getByRole('navigation', { name: 'Operator' }).getByRole('link', { name: 'Sessions' }).click()
await look()
await page.getByLabel('Id or e-mail address of an account').fill('nobody@example.com')
await page.getByRole('button', { name: 'Find' }).click()
await page.getByText('There is no such account.').waitFor()
await page.getByLabel('Id or e-mail address of an account').fill(OTHER)
await page.getByRole('button', { name: 'Find' }).click()
await page.getByText(OTHER).waitFor()
assert.ok(!page.url().includes('%40') && !page.url().includes('@'), page.url())
await look()
await page.getByRole('button', { name: /^End the session of A phone/ }).first().click()
await page.getByText('The session has ended.').waitFor()
await other.goto('/me')
await other.getByRole('heading', { name: 'Log in' }).waitFor()
await logIn(other, OTHER)
await page.getByRole('button', { name: 'Disable the account' }).click()
await page.getByText('The account is disabled').waitFor()
await look()
await other.goto('/me')
await other.getByRole('heading', { name: 'Log in' }).waitFor()
await page.getByRole('button', { name: 'Enable the account' }).click()
await page.getByText('The account is enabled.').waitFor()
await page.getByRole('button', { name: 'End all sessions' }).click()
await page.getByText('All sessions of the account have ended.').waitFor()

// What happened to the account, and to all.
await page.getByRole('link', { name: 'What happened to it' }).click()
await page.getByRole('heading', { name: 'Security events' }).waitFor()
await page.getByRole('cell', { name: 'account-disabled', exact: true }).waitFor()
assert.equal(await page.getByLabel('Id of an account').inputValue(), '80')
await look()
await page.getByLabel('What happened').selectOption('account-enabled')
await page.getByRole('button', { name: 'Show' }).click()
await page.getByRole('cell', { name: 'account-enabled', exact: true }).waitFor()
assert.equal(await page.getByRole('cell', { name: 'account-disabled', exact: true }).count(), 0)

await page.getByRole('link', { name: 'Dead letters' }).click()
await page.getByText('there is no such location').waitFor()
await look()
await page.getByRole('button', { name: /^Replay \d/ }).click()
await page.getByText('0 counted now. 1 still cannot be applied').waitFor()
await look()

await page.getByRole('link', { name: 'Doctor' }).click()
await page.getByText('there are dead letters').waitFor()
await look()

await browser.close()
console.log(JSON.stringify(problems))

async function figure (name) {
  return page.locator(`[data-figure="${name}"]`).innerText()
}

function number (text) {
  return Number(text.replaceAll(',', ''))
}

async function logIn (tab, email) {
  await tab.goto('/log-in')
  await tab.getByLabel('E-mail address').fill(email)
  await tab.getByLabel('Password').fill(PASSWORD)
  await tab.getByRole('button', { name: 'Log in' }).click()
  await tab.getByRole('heading', { name: /^Hello/ }).waitFor()
}
