// What the app weighs, and how it bears large folders.
import { test, before, after } from 'node:test'
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync } from 'node:zlib'
import { browse, open, serve, shot, signIn } from './harness.mjs'

const web = process.env.WEB || join(dirname(fileURLToPath(import.meta.url)), '../../web')
let server, browser
before(async () => { [server, browser] = await Promise.all([serve(), browse()]) })
after(async () => { await browser?.close(); await server?.stop() })

/** The bytes that an address costs: as the server sends it, compressed and without empty lines where a debug build sends it otherwise. */
async function weight(path) {
  const answer = await fetch(server.url + path, { headers: { 'Accept-Encoding': 'identity' } })
  assert.ok(answer.ok, path)
  const bytes = Buffer.from(await answer.arrayBuffer())
  return brotliCompressSync(/\.(js|css)$/.test(path) ? Buffer.from(bytes.toString().replace(/\n+/g, '\n').replace(/^\n|\n$/g, '')) : bytes).length
}

test('the first screen has at most 30 KB and 12 requests', async () => {
  await server.put('notes.txt', 'x')
  const page = await open(browser, server)
  await signIn(page)
  await page.waitForSelector('.connect-card')
  const cold = await page.context().newPage()
  const session = await cold.context().newCDPSession(cold)
  await session.send('Network.enable')
  await session.send('Network.setCacheDisabled', { cacheDisabled: true })
  const asked = new Set()
  cold.on('request', (request) => asked.add(request.url()))
  await cold.goto(server.url)
  await cold.waitForSelector('.row[data-index]')
  await cold.waitForLoadState('networkidle')
  const paths = [...asked].map((url) => new URL(url).pathname)
  assert.ok(asked.size <= 12, `${asked.size} requests: ${paths.join(' ')}`)
  let sum = 0
  for (const path of paths.filter((path) => !path.startsWith('/api/'))) sum += await weight(path)
  console.log(`first screen: ${sum} bytes by brotli in ${asked.size} requests`)
  assert.ok(sum <= 30_000, `${sum} bytes`)
})

test('all that one visitor can load, in one language, has at most 60 KB', async () => {
  const prefix = /"(\/_\/[^/]+\/)/.exec(await (await fetch(server.url)).text())[1]
  const all = readdirSync(web, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => relative(web, join(entry.parentPath ?? entry.path, entry.name)))
  let sum = 0
  const tongues = {}
  for (const name of all.filter((name) => name !== 'index.html')) {
    const bytes = await weight(prefix + name)
    const tongue = /^locales\/(\w+)/.exec(name)
    if (tongue) tongues[tongue[1]] = (tongues[tongue[1]] || 0) + bytes
    else sum += bytes
  }
  const [largest, words] = Object.entries(tongues).sort((a, b) => b[1] - a[1])[0]
  console.log(`everything: ${sum + tongues.en} bytes in English, ${sum + words} in the largest language (${largest})`)
  assert.ok(sum + words <= 60_000, `${sum + words} bytes in ${largest}`)
})

test('10,000 files: fewer than 500 nodes, and every row is reached', async () => {
  const folder = join(server.home('ana'), 'Large')
  await server.folderAt('Large')
  for (let n = 0; n < 10_000; n++) writeFileSync(join(folder, `file ${String(n).padStart(5, '0')}.txt`), '')
  const page = await open(browser, server)
  await signIn(page)
  await page.waitForSelector('.grid')
  const began = Date.now()
  await page.evaluate(() => { window.began = performance.now() })
  await page.click('.row[data-index] >> text=Large')
  await page.waitForSelector('.row[data-index] >> text=file 00000')
  const painted = await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => done(performance.now() - window.began))))
  const nodes = await page.evaluate(() => document.querySelectorAll('*').length)
  console.log(`10,000 files: ${nodes} nodes, painted in ${Math.round(painted)} ms (${Date.now() - began} ms with the test's own steps)`)
  assert.ok(nodes < 500, `${nodes} nodes`)
  await page.locator('.row[data-index]').first().focus()
  await page.keyboard.press('End')
  await page.waitForFunction(() => document.activeElement?.textContent.includes('file 09999'))
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-rowindex')), '10001')
  await page.keyboard.press('Control+a')
  await page.waitForSelector('.note >> text=10,000 selected')
  await shot(page, 'large')
  assert.ok(await page.evaluate(() => document.querySelectorAll('*').length) < 500)
  assert.deepEqual(page.wrong, [])
})

test('the first page of a large folder shows while the rest is on its way', async () => {
  const folder = join(server.home('ana'), 'Pages')
  await server.folderAt('Pages')
  for (let n = 0; n < 20_001; n++) writeFileSync(join(folder, `p${String(n).padStart(5, '0')}`), '')
  const page = await open(browser, server)
  await signIn(page)
  let go
  const held = new Promise((resolve) => { go = resolve })
  await page.route('**/api/v1/files?*cursor=*', async (route) => { await held; await route.continue() })
  await page.goto(`${server.url}/files/Pages`)
  await page.waitForSelector('.row[data-index] >> text=p00000')
  await page.waitForSelector('.note >> text=10,000 items')
  await page.locator('.row[data-index]').first().focus()
  await page.keyboard.press('ArrowDown')
  go()
  await page.waitForSelector('.note >> text=20,001 items')
  assert.equal(await page.evaluate(() => document.activeElement.querySelector('.name').textContent), 'p00001', 'the focus stays')
  await page.keyboard.press('End')
  await page.waitForFunction(() => document.activeElement.textContent.includes('p20000'))
  assert.deepEqual(page.wrong, [])
})

test('100,000 files are usable', { skip: process.env.QUICK ? 'QUICK is set' : false, timeout: 180_000 }, async () => {
  const folder = join(server.home('ana'), 'Huge')
  mkdirSync(folder)
  for (let n = 0; n < 100_000; n++) writeFileSync(join(folder, `f${String(n).padStart(6, '0')}`), '')
  const page = await open(browser, server)
  await signIn(page)
  const began = Date.now()
  await page.goto(`${server.url}/files/Huge`)
  await page.waitForSelector('.row[data-index]', { timeout: 120_000 })
  const first = Date.now() - began
  await page.waitForSelector('.note >> text=100,000 items', { timeout: 150_000 })
  const loaded = Date.now() - began
  const step = Date.now()
  await page.locator('.row[data-index]').first().focus()
  await page.keyboard.press('End')
  await page.waitForFunction(() => document.activeElement?.textContent.includes('f099999'))
  const heap = await page.evaluate(() => performance.memory?.usedJSHeapSize)
  console.log(`100,000 files: first rows in ${first} ms, all in ${loaded} ms, to the end in ${Date.now() - step} ms, heap ${Math.round(heap / 1e6)} MB`)
  assert.ok(heap < 80e6, `${heap} bytes`)
  assert.deepEqual(page.wrong, [])
})

test('nothing of the app is older than its catalogue of files', () => {
  // A file that no other names is never loaded: it is left over.
  const names = readdirSync(join(web, 'views'))
  const text = [...names.map((name) => join(web, 'views', name)), ...['main.js', 'api.js', 'dom.js', 'ui.js', 'list.js'].map((name) => join(web, name))].map((file) => readFileSync(file, 'utf8')).join('\n')
  for (const name of names) assert.ok(text.includes(`'${name.replace('.js', '')}'`) || text.includes(`/${name}'`), `${name} is used`)
})
