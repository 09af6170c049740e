// Set-up, signing in, making an account, and a session that ends.
import { test, before, after } from 'node:test'
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { PASSWORD, browse, open, serve, shot, signIn } from './harness.mjs'

let server, browser
before(async () => { [server, browser] = await Promise.all([serve(['ana', 'ben'], 'registration = "open"\n'), browse()]) })
after(async () => { await browser?.close(); await server?.stop() })

/** What an authenticator app shows (RFC 6238). */
function totp(secret, at = Date.now()) {
  const bits = [...secret.replace(/=+$/, '')].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('')
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => parseInt(byte, 2)))
  const counter = Buffer.alloc(8)
  counter.writeBigUInt64BE(BigInt(Math.floor(at / 30000)))
  const hash = createHmac('sha1', key).update(counter).digest()
  return String((hash.readUInt32BE(hash[19] & 15) & 0x7fffffff) % 1e6).padStart(6, '0')
}

test('set-up makes the first administrator and lands on the files', async () => {
  const fresh = await serve([])
  try {
    const page = await open(browser, fresh)
    const token = /setup\?token=([\w-]+)/.exec(fresh.log())[1]
    await page.goto(`${fresh.url}/setup?token=${token}`)
    await page.fill('input[name=name]', 'zoe')
    await page.fill('input[name=password]', 'short')
    await page.click('button.primary')
    assert.equal(await page.evaluate(() => document.querySelector('input[name=password]').validity.tooShort), true)
    await page.fill('input[name=password]', PASSWORD)
    await shot(page, 'setup')
    await page.click('button.primary')
    await page.waitForSelector('nav.rail a[href="/admin"]')
    await page.waitForSelector('.connect-card')
    assert.equal(new URL(page.url()).pathname, '/')
    assert.deepEqual(page.wrong, [])
    const late = await open(browser, fresh, { expected: [/404/] })
    await late.goto(`${fresh.url}/setup?token=x`)
    assert.match(await late.textContent('body'), /Set-up is over/)
  } finally { await fresh.stop() }
})

test('without scripts set-up is a form and the front page says how to connect', async () => {
  const fresh = await serve([])
  try {
    const context = await browser.newContext({ javaScriptEnabled: false })
    const page = await context.newPage()
    await page.goto(fresh.url)
    assert.match(await page.textContent('main'), /Nobody can sign in yet[\s\S]*\/dav\//)
    const token = /setup\?token=([\w-]+)/.exec(fresh.log())[1]
    await page.goto(`${fresh.url}/setup?token=${token}`)
    await page.fill('input[name=name]', 'zoe')
    await page.fill('input[name=password]', PASSWORD)
    await page.click('button')
    assert.match(await page.textContent('main'), /zoe is made/)
  } finally { await fresh.stop() }
})

test('an address is shown after signing in, and a wrong password in words', async () => {
  await server.folderAt('Deep')
  await server.put('Deep/inside.txt', 'x')
  const page = await open(browser, server, { expected: [/401/] })
  await page.goto(`${server.url}/files/Deep`)
  await page.fill('input[name=name]', 'ana')
  await page.fill('input[name=password]', 'wrong-password')
  await page.keyboard.press('Enter')
  await page.waitForFunction(() => document.querySelector('[role=alert]')?.textContent.includes('wrong'))
  await page.fill('input[name=password]', PASSWORD)
  await page.keyboard.press('Enter')
  await page.waitForSelector('text=inside')
  assert.equal(new URL(page.url()).pathname, '/files/Deep')
  assert.deepEqual(page.wrong, [])
})

test('no address leads to another server', async () => {
  for (const to of ['//evil.example/', '/\\evil.example', 'https://evil.example/', 'javascript:alert(1)']) {
    const page = await open(browser, server)
    await signIn(page, 'ana', to)
    assert.equal(new URL(page.url()).origin, server.url)
    await page.context().close()
  }
})

test('somebody makes an account and is in', async () => {
  const page = await open(browser, server)
  await page.goto(`${server.url}/register`)
  await page.fill('input[name=name]', 'cleo')
  await page.fill('input[name=password]', PASSWORD)
  await page.click('button.primary')
  await page.waitForSelector('nav.rail')
  assert.equal(await page.locator('nav.rail a[href="/admin"]').count(), 0)
  assert.deepEqual(page.wrong, [])
})

test('two-factor sign-in is turned on with a picture, asked for, and turned off', async () => {
  const page = await open(browser, server, { expected: [/401/] })
  await signIn(page, 'ben', '/account')
  await page.click('text=Turn on')
  await page.fill('dialog input[type=password]', PASSWORD)
  await page.click('dialog button.primary')
  await page.waitForSelector('dialog img.qr')
  const secret = await page.inputValue('dialog .copyable input')
  await shot(page, 'two-factor')
  await page.fill('dialog input[autocomplete=one-time-code]', totp(secret))
  await page.click('dialog button.primary')
  await page.waitForSelector('.codes li')
  const recovery = await page.locator('.codes li').allTextContents()
  assert.equal(recovery.length, 10)
  await page.keyboard.press('Escape')
  await page.waitForSelector('text=On: signing in asks for a code')
  await page.click('.who')
  await page.click('[role=menuitem]:has-text("Sign out")')
  await page.waitForSelector('input[name=name]')
  await page.fill('input[name=name]', 'ben')
  await page.fill('input[name=password]', PASSWORD)
  await page.click('button.primary')
  await page.fill('input[name=code]', recovery[0])
  await page.click('button.primary')
  await page.waitForSelector('nav.rail')
  await page.goto(`${server.url}/account`)
  await page.click('text=Turn off two-factor')
  await page.fill('dialog input[type=password]', PASSWORD)
  await page.click('dialog button.danger')
  await page.waitForSelector('text=Turn on')
  assert.deepEqual(page.wrong, [])
})

test('a session that ends is asked for again, and what was typed is still there', async () => {
  const page = await open(browser, server, { expected: [/401/] })
  await signIn(page)
  await page.click('text=New folder')
  await page.fill('dialog input', 'Kept name')
  const { items } = await server.json('GET', '/api/v1/sessions').catch(() => server.ask('GET', '/api/v1/sessions').then((answer) => answer.json()))
  for (const one of items) await server.ask('DELETE', `/api/v1/sessions/${one.id}`)
  await page.click('dialog button.primary')
  await page.waitForSelector('text=Your session has ended')
  await shot(page, 'sign-in-again')
  await page.locator('dialog').last().locator('input[type=password]').fill(PASSWORD)
  await page.locator('dialog').last().locator('button.primary').click()
  await page.waitForSelector('.grid >> text=Kept name')
  assert.deepEqual(page.wrong, [])
})
