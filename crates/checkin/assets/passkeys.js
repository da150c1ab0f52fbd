// Passkeys: adding one, and using one instead of a code. Without this script, recovery codes do.

const credentials = globalThis.PublicKeyCredential
const isSupported = Boolean(credentials?.parseCreationOptionsFromJSON && credentials.parseRequestOptionsFromJSON)

async function send (path, body) {
  const request = { method: 'POST' }
  if (body) Object.assign(request, { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  const answer = await fetch(path, request)
  const content = await answer.json()
  if (answer.ok) return content
  const [error] = content.errors ?? []
  const names = { currentPassword: 'The current password', code: 'The code', name: 'The name' }
  throw new Error(error ? `${names[error.field] ?? error.field} ${error.rule}.` : `${content.detail}.`)
}

for (const button of document.querySelectorAll('[data-passkey]')) {
  button.hidden = !isSupported
  button.addEventListener('click', async () => {
    const { form, dataset: { passkey: challenge } } = button
    const token = form.elements.pendingLogin?.value
    try {
      const { publicKey } = await send(challenge, token && { pendingLogin: token })
      const credential = await navigator.credentials.get({ publicKey: credentials.parseRequestOptionsFromJSON(publicKey) })
      form.elements.passkey.value = JSON.stringify(credential.toJSON())
      form.elements.code.required = false
      form.requestSubmit()
    } catch (error) {
      button.textContent = `This did not work: ${error.message}`
    }
  })
}

const added = document.querySelector('[data-new-passkey]')
if (added && isSupported) {
  added.hidden = false
  const form = added.querySelector('form')
  const failure = added.querySelector('[role=alert]')
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    const { name, ...proof } = Object.fromEntries([...new FormData(form)].filter(([, value]) => value))
    if (proof.passkey) proof.passkey = JSON.parse(proof.passkey)
    try {
      const { publicKey } = await send('/second-factor/passkeys', proof)
      const credential = await navigator.credentials.create({ publicKey: credentials.parseCreationOptionsFromJSON(publicKey) })
      const { recoveryCodes } = await send('/second-factor/passkeys/confirm', { name, passkey: credential.toJSON() })
      if (recoveryCodes.length > 0) return showCodes(recoveryCodes)
      document.cookie = 'checkin_notice=second-factor; Max-Age=60; Path=/; SameSite=Lax'
      location.assign('/me/account')
    } catch (error) {
      failure.textContent = error.message
      failure.hidden = false
    }
  })
}

// They are shown once, so the page stays until its owner leaves it.
function showCodes (codes) {
  const page = document.getElementById('recovery-codes').content.cloneNode(true)
  page.querySelector('ul').append(...codes.map((code) => {
    const item = document.createElement('li')
    item.append(Object.assign(document.createElement('code'), { textContent: code }))
    return item
  }))
  const main = document.querySelector('main')
  main.replaceChildren(page)
  main.focus()
}
