// The app below a path (`server.public_url` with one): whatever it asks for and wherever it goes lies below it.
import { test, before, after } from 'node:test'
import assert from 'node:assert/strict'
import { browse, open, serve, signIn } from './harness.mjs'

const PREFIX = '/nest/drive'
let server, browser, below
before(async () => {
  [server, browser] = await Promise.all([serve(['ana'], '', { SARANG_SERVER__PUBLIC_URL: `http://files.example${PREFIX}` }), browse()])
  below = { url: server.url + PREFIX }
})
after(async () => { await browser?.close(); await server?.stop() })

test('signing in, folders, views, uploads and links stay below the path', async () => {
  await server.folderAt('photos')
  await server.put('photos/a.txt', 'text')
  // Any request that is not below it is one to another origin, for the harness.
  const page = await open(browser, below)
  await page.goto(`${page.base}/`)
  await page.waitForURL(`${page.base}/login?*`)
  await signIn(page, 'ana', '/files/photos')
  await page.waitForSelector('text=a.txt')
  assert.equal(new URL(page.url()).pathname, `${PREFIX}/files/photos`)
  for (const [view, path] of [['trash', '/trash'], ['connect', '/connect'], ['admin', '/admin'], ['files', '/']]) {
    await page.click(`nav.rail a[data-name=${view}]`)
    await page.waitForSelector(`nav.rail a[data-name=${view}][aria-current=page]`)
    assert.equal(new URL(page.url()).pathname, PREFIX + path)
    if (view === 'connect') await page.waitForSelector(`text=${PREFIX}/dav/`)
  }
  await page.reload()
  await page.waitForSelector('text=photos')
  await page.click('nav.rail a[data-name=files]')
  await page.click('button:has-text("Upload")')
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.click('[role=menuitem]:has-text("Files")')])
  await chooser.setFiles({ name: 'sent.txt', mimeType: 'text/plain', buffer: Buffer.from('sent') })
  await page.waitForSelector('text=sent.txt')
  assert.equal(await (await server.ask('GET', '/dav/sent.txt')).text(), 'sent')
  assert.deepEqual(page.wrong, [])
})

test('the page of a link works below the path', async () => {
  const { url } = await server.json('POST', '/api/v1/links', { path: '/photos' })
  assert.ok(url.startsWith(`${PREFIX}/s/`))
  const page = await open(browser, below)
  await page.goto(server.url + url)
  await page.click('text=a.txt')
  await page.waitForSelector('text=text')
  assert.deepEqual(page.wrong, [])
})
