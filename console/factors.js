// An account with a second factor, in a browser: an authenticator app, a recovery code, a passkey, a forgotten password.
// Prints one JSON line with what is wrong.
//   CONSOLE=http://localhost:8080 EMAIL=… PASSWORD=… MESSAGES=FOLDER node factors.js
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { inspect, launch, open } from './browser.js'

const { EMAIL, PASSWORD, MESSAGES } = process.env
const OTHER = 'the ferry leaves at a quarter to nine'
const problems = []
const browser = await launch()
const page = await open(browser, problems)
const devtools = await page.context().newCDPSession(page)
await devtools.send('WebAuthn.enable')
await devtools.send('WebAuthn.addVirtualAuthenticator', {
  options: {
    protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true
  }
})
await logIn(PASSWORD)
await page.getByRole('heading', { name: /^Hello/ }).waitFor()

// An app, by its key.
await page.goto('/me/account')
await form('totp').getByLabel('Current password').fill(PASSWORD)
await form('totp').getByRole('button').click()
await page.getByRole('heading', { name: 'Authenticator app' }).waitFor()
await page.getByRole('img', { name: 'QR code of the key' }).waitFor()
const secret = await page.locator('p > code').innerText()
await page.getByLabel('Code that the app shows').fill('1234567')
await page.getByRole('button', { name: 'Turn it on' }).click()
await page.getByText(/^The code must be/).waitFor()
await page.getByLabel('Code that the app shows').fill(code(secret))
await page.getByRole('button', { name: 'Turn it on' }).click()
await page.getByRole('heading', { name: 'Your recovery codes' }).waitFor()
const codes = await page.locator('.codes code').allInnerTexts()
assert.equal(codes.length, 10)
await page.getByRole('link', { name: 'I have kept them' }).click()
await page.getByText('You have 10 recovery codes left.').waitFor()
await inspect(page, problems)

// A login needs it.
await page.getByRole('button', { name: 'Log out' }).click()
await logIn(PASSWORD)
await page.getByRole('heading', { name: 'Your second factor' }).waitFor()
await page.getByLabel('Code').fill(codes[0])
await page.getByRole('button', { name: 'Continue' }).click()
await page.getByRole('heading', { name: /^Hello/ }).waitFor()

// A passkey.
await page.goto('/me/account')
await page.getByText('Add a passkey').first().click()
const added = page.locator('[data-new-passkey]')
await added.getByLabel('Name of the passkey').fill('this browser')
await added.getByLabel('Current password').fill('not the password of anybody')
await added.getByLabel('Code').fill(codes[1])
await added.getByRole('button', { name: 'Add a passkey' }).click()
await page.getByText('The current password must be').waitFor()
await added.getByLabel('Current password').fill(PASSWORD)
await added.getByRole('button', { name: 'Add a passkey' }).click()
await page.getByText('Your second factor is changed.').waitFor()
await page.getByText('this browser', { exact: true }).waitFor()
await page.getByRole('button', { name: 'Log out' }).click()
await logIn(PASSWORD)
await page.getByRole('button', { name: 'Use a passkey' }).click()
await page.getByRole('heading', { name: /^Hello/ }).waitFor()

// It is a proof for changes, too.
await page.goto('/me/account')
await page.getByText('Make new recovery codes').click()
await form('recovery-codes').getByLabel('Current password').fill(PASSWORD)
await form('recovery-codes').getByRole('button', { name: 'Use a passkey' }).click()
await page.getByRole('heading', { name: 'Your recovery codes' }).waitFor()
const renewed = await page.locator('.codes code').allInnerTexts()
assert.ok(renewed.length === 10 && !renewed.includes(codes[2]))

// A forgotten password.
await page.getByRole('link', { name: 'I have kept them' }).click()
await page.getByRole('button', { name: 'Log out' }).click()
await page.goto('/log-in')
await page.getByRole('link', { name: 'Forgotten your password?' }).click()
await page.getByLabel('E-mail address').fill(EMAIL)
await page.getByRole('button', { name: 'Send me a message' }).click()
await page.getByRole('heading', { name: 'Look into your mailbox' }).waitFor()
await page.goto('/password/reset')
await inspect(page, problems)
await page.goto(await link())
// The token is in the form now, and in no address.
await page.waitForURL((url) => url.hash === '')
await page.getByLabel('New password').fill('short')
await page.getByRole('button', { name: 'Store the new password' }).click()
await page.getByText(/^It must have at least \d+ characters\.$/).waitFor()
await page.getByLabel('New password').fill(OTHER)
await page.getByRole('button', { name: 'Store the new password' }).click()
await page.getByLabel('Code of your second factor').fill(renewed[0])
await page.getByLabel('New password').fill(OTHER)
await page.getByRole('button', { name: 'Store the new password' }).click()
await page.getByText('Your password is changed. You can log in with it now.').waitFor()
await logIn(OTHER)
await page.getByRole('button', { name: 'Use a passkey' }).click()
await page.getByRole('heading', { name: /^Hello/ }).waitFor()

// Without a second factor again.
await page.goto('/me/account')
await page.getByText('Turn the second factor off').click()
await form('remove').getByLabel('Current password').fill(OTHER)
await form('remove').getByRole('button', { name: 'Use a passkey' }).click()
await page.getByText('Your second factor is changed.').waitFor()
await page.getByText('With an authenticator app, nobody can log in').waitFor()

await browser.close()
console.log(JSON.stringify(problems))

function form (change) {
  return page.locator(`form[action="/me/second-factor/${change}"]`)
}

async function logIn (password) {
  await page.goto('/log-in')
  await page.getByLabel('E-mail address').fill(EMAIL)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Log in' }).click()
}

// The code that an app shows: RFC 6238 with SHA-1, six digits and steps of 30 seconds.
function code (secret) {
  const bits = [...secret].map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000)))
  const hash = createHmac('sha1', key).update(counter).digest()
  const at = hash.at(-1) & 15
  return String((hash.readUInt32BE(at) & 0x7fffffff) % 1_000_000).padStart(6, '0')
}

// The link of the last message, as soon as it is there.
async function link () {
  for (;;) {
    const texts = readdirSync(MESSAGES).filter((name) => name.endsWith('.mail')).map((name) => readFileSync(`${MESSAGES}/${name}`, 'utf8'))
    const [url] = texts.join('').replaceAll('=\r\n', '').replaceAll('=\n', '').replaceAll('=3D', '=').match(/http:\S+token=\S+/) ?? []
    if (url) return url
    await page.waitForTimeout(50)
  }
}
