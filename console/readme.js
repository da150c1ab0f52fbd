// Makes the pictures of the README in docs/pictures: the map and a person's own page, and the walk-through as an
// animated picture. Needs ffmpeg and a console with fresh demo data.
//   CONSOLE=http://127.0.0.1:8080 node readme.js
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { launch, open } from './browser.js'

const FRAMES_PER_SECOND = 2
const folder = fileURLToPath(new URL('../docs/pictures/', import.meta.url))
const frames = mkdtempSync(join(tmpdir(), 'frames-'))

mkdirSync(folder, { recursive: true })
const browser = await launch()
const problems = []
const page = await open(browser, problems, { colorScheme: 'light', viewport: { width: 900, height: 640 } })

await page.goto('/')
const walk = page.locator('.walk')
await walk.getByRole('button', { name: 'Start' }).click()
const start = Date.now()
for (let frame = 0, left = Infinity; left > 0; frame++, left--) {
  await walk.locator('li.done').last().evaluate((step) => step.scrollIntoView({ block: 'center' })).catch(() => {})
  await page.screenshot({ path: join(frames, `${String(frame).padStart(3, '0')}.png`) })
  await page.waitForTimeout(start + (frame + 1) * 1000 / FRAMES_PER_SECOND - Date.now())
  // The end is shown for three seconds.
  if (left === Infinity && await walk.getByText('There is nothing under this key.').isVisible()) left = 3 * FRAMES_PER_SECOND
}
const palette = 'split[all][few];[few]palettegen=max_colors=32[palette];[all][palette]paletteuse=dither=none'
execFileSync('ffmpeg', ['-v', 'error', '-y', '-framerate', String(FRAMES_PER_SECOND), '-i', join(frames, '%03d.png'), '-vf', palette, join(folder, 'walk-through.gif')])
rmSync(frames, { recursive: true })

await page.goto('/log-in')
await page.getByLabel('E-mail address').fill('al.appelhof@example.com')
await page.getByLabel('Password').fill('secret123')
await page.getByRole('button', { name: 'Log in' }).click()
await page.getByRole('heading', { name: /^Hello/ }).waitFor()
for (const [name, path] of Object.entries({ map: '/map', 'own-page': '/me' })) {
  await page.goto(path)
  await page.screenshot({ path: join(folder, `${name}.png`) })
}
await browser.close()
for (const problem of problems) console.error(problem)
