// Logs in through Swagger UI as a person would, and then tries a route that needs the session.
// Prints one JSON line: the status of each answer that the page shows.
//   CONSOLE=http://127.0.0.1:8080 EMAIL=… PASSWORD=… [SCREENSHOT=docs.png] node swagger.js
import { chromium } from 'playwright-core';

const { CONSOLE, EMAIL, PASSWORD, SCREENSHOT, CHROMIUM = '/usr/bin/chromium' } = process.env;
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
const page = await browser.newPage({ viewport: { width: 1200, height: 1600 } });
const problems = [];
page.on('pageerror', (error) => problems.push(String(error)));
page.on('console', (line) => {
  if (line.type() === 'error' && /Content Security Policy/.test(line.text())) problems.push(line.text());
});

// Opens an operation, fills in its body and parameters, and answers the status that the page shows.
async function execute(operation, body, parameters = []) {
  const block = page.locator(`[id$="-${operation}"]`);
  await block.locator('.opblock-summary').first().click();
  await block.getByRole('button', { name: 'Try it out' }).click();
  for (const [name, value] of parameters) {
    await block.locator(`tr[data-param-name="${name}"] input`).fill(value);
  }
  if (body) await block.locator('textarea.body-param__text').fill(JSON.stringify(body));
  await block.getByRole('button', { name: 'Execute' }).click();
  const status = block.locator('.live-responses-table .response-col_status').last();
  await status.waitFor();
  return Number((await status.innerText()).trim().split(/\s/)[0]);
}

await page.goto(`${CONSOLE}/docs/`);
const answers = {
  before: await execute('getSession'),
  login: await execute('logIn', { email: EMAIL, password: PASSWORD }),
  checkin: await execute('createCheckin', { userId: 77, locationId: 2, starRating: 5 }),
  user: await execute('getUser', null, [['id', '77']]),
};
if (SCREENSHOT) {
  await page.locator('.information-container').scrollIntoViewIfNeeded();
  await page.screenshot({ path: SCREENSHOT });
}
await browser.close();
console.log(JSON.stringify({ ...answers, problems }));
