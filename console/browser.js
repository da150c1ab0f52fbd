// A browser for the console: pages, and what is wrong with them.
import { createRequire } from 'node:module'
import { chromium } from 'playwright-core'

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

export const { CONSOLE, CHROMIUM = '/usr/bin/chromium' } = process.env

// Bytes of a page with all its files. Nothing is compressed, so it is less on a line that compresses.
const MAX_BYTES = 100_000

export async function launch () {
  return chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] })
}

// Opens a tab whose errors, and what its policy blocked, are added to `problems`.
export async function open (browser, problems, options = {}) {
  const context = await browser.newContext({ baseURL: CONSOLE, viewport: { width: 1200, height: 900 }, ...options })
  const page = await context.newPage()
  page.on('pageerror', (error) => problems.push(`${page.url()}: ${error}`))
  page.on('console', (line) => {
    // A status of 400 or 422 is an answer to a form, and a page says so.
    const isAnswer = line.text().startsWith('Failed to load resource')
    if (line.type() === 'error' && !isAnswer) problems.push(`${page.url()}: ${line.text()}`)
  })
  return page
}

// Adds what axe finds on a page, and whether the page is too large, to `problems`.
export async function inspect (page, problems) {
  const context = page.context()
  const session = await context.newCDPSession(page)
  // The policy of the pages allows no script of others, and no injected one.
  await session.send('Page.setBypassCSP', { enabled: true })
  await page.reload()
  await page.addScriptTag({ path: axe })
  const { violations } = await page.evaluate(() => globalThis.axe.run())
  await session.send('Page.setBypassCSP', { enabled: false })
  for (const { id, nodes } of violations) problems.push(`${page.url()}: ${id}: ${nodes.map(({ html }) => html).join(' ')}`)
  const bytes = await page.evaluate(() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
    .filter(({ initiatorType }) => initiatorType !== 'script' && initiatorType !== 'fetch')
    .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0))
  if (bytes > MAX_BYTES) problems.push(`${page.url()}: ${bytes} bytes`)
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  if (wide > 0) problems.push(`${page.url()}: ${wide} px too wide`)
}
