// Adds a passkey in a browser, and logs in with it: on a page of the service, with the browser's own authenticator.
// Prints one JSON line: the statuses of the answers, and what the service says of the passkey.
//   AUTH=http://localhost:8083 EMAIL=… PASSWORD=… node passkeys.js
import { chromium } from 'playwright-core';

const { AUTH, EMAIL, PASSWORD, CHROMIUM = '/usr/bin/chromium' } = process.env;
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
const page = await browser.newPage();
const devtools = await page.context().newCDPSession(page);
await devtools.send('WebAuthn.enable');
await devtools.send('WebAuthn.addVirtualAuthenticator', {
  options: {
    protocol: 'ctap2',
    transport: 'internal',
    hasResidentKey: true,
    hasUserVerification: true,
    isUserVerified: true,
    automaticPresenceSimulation: true,
  },
});
// Behind a proxy, the pages of an application have the same origin as the service.
const app = `${AUTH}/app`;
await page.route(app, (route) => route.fulfill({ contentType: 'text/html', body: '<title>app</title>' }));
await page.goto(app);

// What the page of an application does.
const seen = await page.evaluate(async ([email, password]) => {
  const ask = async (path, body) => {
    const response = await fetch(path, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    return { status: response.status, json: /^\{/.test(text) ? JSON.parse(text) : text };
  };
  const get = async (asked) => {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(asked.json.publicKey);
    return (await navigator.credentials.get({ publicKey })).toJSON();
  };
  const statuses = [];
  const step = async (path, body) => {
    const response = await ask(path, body);
    statuses.push(response.status);
    return response;
  };

  await step('/login', { email, password });
  const asked = await step('/second-factor/passkeys', { currentPassword: password });
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(asked.json.publicKey);
  const passkey = (await navigator.credentials.create({ publicKey })).toJSON();
  const made = await step('/second-factor/passkeys/confirm', { name: 'this browser', passkey });
  await step('/logout', {});

  const { pendingLogin, methods } = (await step('/login', { email, password })).json;
  const challenge = await step('/login/second-factor/challenge', { pendingLogin });
  await step('/login/second-factor', { pendingLogin, passkey: await get(challenge) });
  const state = await (await fetch('/second-factor')).json();
  const again = await step('/second-factor/challenge');
  await step('/second-factor/remove', { currentPassword: password, passkey: await get(again) });
  return {
    statuses,
    methods,
    recoveryCodes: made.json.recoveryCodes?.length,
    name: state.passkeys?.[0]?.name,
    isUsed: state.passkeys?.[0]?.lastUsed >= state.passkeys?.[0]?.since,
    bytes: JSON.stringify(passkey).length,
  };
}, [EMAIL, PASSWORD]);
await browser.close();
console.log(JSON.stringify(seen));
