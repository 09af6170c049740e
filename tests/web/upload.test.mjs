// Uploads: whole, in the right places, each once; over a line that breaks, a reload, and a name that is taken.
import { test, before, after } from 'node:test'
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { browse, open, serve, shot, signIn } from './harness.mjs'

let server, browser, local
before(async () => { [server, browser] = await Promise.all([serve(), browse()]); local = mkdtempSync(join(tmpdir(), 'sarang-up-')) })
after(async () => { await browser?.close(); await server?.stop(); rmSync(local, { recursive: true, force: true }) })

const sum = (bytes) => createHash('sha256').update(bytes).digest('hex')
const disk = (path) => join(server.home('ana'), path)

/** A file on the disk of whoever uploads, with a time of its own. */
function make(name, content) {
  const path = join(local, name)
  mkdirSync(join(path, '..'), { recursive: true })
  writeFileSync(path, content)
  utimesSync(path, 1234567890, 1234567890)
  return path
}

async function choose(page, what, paths) {
  await page.click('.tools >> text=Upload')
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.click(`[role=menuitem]:has-text("${what}")`)])
  await chooser.setFiles(paths)
}

async function at(page, folder) {
  await server.folderAt(folder)
  await signIn(page, 'ana', `/files/${folder}`)
  await page.waitForSelector('.tools >> text=Upload')
}

async function finished(page, n) {
  const done = page.waitForSelector(`.queue-panel h2 >> text="${n} uploaded"`, { timeout: 90000 })
  await done.catch(async (error) => { throw new Error(`${error.message}\n${await page.textContent('.queue-panel')}`) })
}

test('files are whole, with their time, and show by themselves', async () => {
  const page = await open(browser, server)
  await at(page, 'Plain')
  const big = randomBytes(40 << 20)
  await choose(page, 'Files', [make('small ä.txt', 'small'), make('empty.txt', ''), make('big.bin', big)])
  await finished(page, 3)
  await shot(page, 'uploads')
  assert.equal(readFileSync(disk('Plain/small ä.txt'), 'utf8'), 'small')
  assert.equal(statSync(disk('Plain/empty.txt')).size, 0)
  assert.equal(sum(readFileSync(disk('Plain/big.bin'))), sum(big))
  assert.equal(Math.floor(statSync(disk('Plain/big.bin')).mtimeMs / 1000), 1234567890)
  await page.waitForSelector('.row[data-index] >> text=big')
  assert.deepEqual(page.wrong, [])
})

test('a folder of 300 files in 30 folders arrives in its places while one goes elsewhere', async () => {
  const page = await open(browser, server)
  await at(page, 'Tree')
  for (let n = 0; n < 300; n++) make(`tree/d${n % 30}/f${n}.txt`, `content ${n}`)
  await choose(page, 'Folder', join(local, 'tree'))
  await page.waitForSelector('.queue-panel')
  await page.click('nav.rail a[href="/trash"]')
  await page.waitForSelector('h1:has-text("Trash")')
  await page.click('nav.rail a[href="/"]')
  await finished(page, 300)
  for (let n = 0; n < 300; n++) assert.equal(readFileSync(disk(`Tree/tree/d${n % 30}/f${n}.txt`), 'utf8'), `content ${n}`)
  assert.equal(readdirSync(disk('Tree/tree'), { recursive: true }).length, 330)
  assert.deepEqual(page.wrong, [])
})

test('a name that is taken is asked about, and the answer holds for all', async () => {
  const page = await open(browser, server, { expected: [/409/, /404/] })
  await at(page, 'Taken')
  for (const name of ['a.txt', 'b.txt', 'c.txt']) await server.put(`Taken/${name}`, 'old')
  await choose(page, 'Files', ['a.txt', 'b.txt', 'c.txt'].map((name) => make(name, `new ${name}`)))
  await page.waitForSelector('dialog >> text=This name is taken')
  await page.check('dialog input[type=checkbox]')
  await page.click('dialog >> text=Continue')
  await finished(page, 3)
  for (const name of ['a', 'b', 'c']) {
    assert.equal(readFileSync(disk(`Taken/${name}.txt`), 'utf8'), 'old')
    assert.equal(readFileSync(disk(`Taken/${name} (2).txt`), 'utf8'), `new ${name}.txt`)
  }
  assert.deepEqual(page.wrong, [])
})

test('a line that breaks is waited for, and the upload goes on by itself', async () => {
  const page = await open(browser, server, { expected: [/ERR_|Failed to load|reached/] })
  await at(page, 'Broken')
  const big = randomBytes(40 << 20)
  let cuts = 0
  await page.route('**/api/v1/uploads/*', (route) => (route.request().method() === 'PATCH' && cuts++ < 2 ? route.abort('connectionreset') : route.continue()))
  await choose(page, 'Files', [make('broken.bin', big)])
  await finished(page, 1)
  assert.ok(cuts >= 3)
  assert.equal(sum(readFileSync(disk('Broken/broken.bin'))), sum(big))
  assert.deepEqual(page.wrong, [])
})

test('what a reload cut goes on where it was when the file is chosen again', async () => {
  const page = await open(browser, server, { expected: [/ERR_|Failed to load/] })
  await at(page, 'Cut')
  const big = randomBytes(40 << 20)
  const path = make('cut.bin', big)
  let parts = 0
  let cut = true
  await page.route('**/api/v1/uploads/*', (route) => (cut && route.request().method() === 'PATCH' && ++parts > 1 ? new Promise(() => {}) : route.continue()))
  await choose(page, 'Files', [path])
  while (parts < 2) await page.waitForTimeout(50)
  page.on('dialog', (dialog) => dialog.accept())
  await page.reload()
  cut = false
  await page.waitForSelector('.queue-panel >> text=1 upload was cut off')
  await shot(page, 'cut')
  let sent = 0
  page.on('request', (request) => { if (request.method() === 'PATCH') sent += Number(request.headers()['content-length'] || 0) || (request.postDataBuffer()?.length ?? 0) })
  const first = page.waitForRequest((request) => request.method() === 'PATCH')
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.click('.queue-panel >> text=Choose files')])
  await chooser.setFiles([path])
  assert.ok(Number((await first).headers()['upload-offset']) >= 32 << 20, 'the first part is not sent again')
  await finished(page, 1)
  assert.equal(sum(readFileSync(disk('Cut/cut.bin'))), sum(big))
  assert.equal(await page.evaluate(() => localStorage.getItem('uploads')), null)
})

test('pause, go on, cancel', async () => {
  const page = await open(browser, server, { expected: [/ERR_|Failed to load/] })
  await at(page, 'Pause')
  const big = randomBytes(8 << 20)
  let held = true
  await page.route('**/api/v1/uploads/*', (route) => (held && route.request().method() === 'PATCH' ? new Promise(() => {}) : route.continue()))
  await choose(page, 'Files', [make('paused.bin', big), make('cancelled.bin', randomBytes(3 << 20))])
  await page.click('.queue-panel [aria-label*="Cancel"][aria-label*="cancelled"]')
  await page.click('.queue-panel [aria-label="Pause all"]')
  await page.waitForSelector('.queue-panel >> text=paused')
  held = false
  await page.click('.queue-panel [aria-label="Go on with all"]')
  await finished(page, 1)
  assert.equal(sum(readFileSync(disk('Pause/paused.bin'))), sum(big))
  assert.ok(!existsSync(disk('Pause/cancelled.bin')))
})

test('too little space is said in words, and the rest goes on', async () => {
  await server.ask('PATCH', '/api/v1/accounts/ben', { body: JSON.stringify({ quota: 2_000_000 }) })
  const page = await open(browser, server, { expected: [/507/] })
  await signIn(page, 'ben')
  await page.waitForSelector('.tools >> text=Upload')
  await choose(page, 'Files', [make('large.bin', randomBytes(3 << 20)), make('fits.txt', 'x')])
  await page.waitForSelector('.queue-panel >> text=not enough space')
  await page.waitForSelector('.row[data-index]:has-text("fits.txt")')
  assert.ok(existsSync(join(server.home('ben'), 'fits.txt')))
  assert.deepEqual(page.wrong, [])
})

test('2,000 files in 50 folders, cut by a reload and chosen again, are there once each, whatever others change meanwhile', { timeout: 300_000 }, async () => {
  const page = await open(browser, server, { expected: [/409|404|ERR_|Failed to load/] })
  await at(page, 'Many')
  const total = process.env.QUICK ? 400 : 2000
  for (let n = 0; n < total; n++) make(`many/d${n % 50}/f${n}.txt`, `content ${n}`)
  const count = () => (existsSync(disk('Many/many')) ? readdirSync(disk('Many/many'), { recursive: true }).filter((name) => name.endsWith('.txt')).length : 0)
  await choose(page, 'Folder', join(local, 'many'))
  while (count() < total / 4) await page.waitForTimeout(20)
  page.on('dialog', (dialog) => dialog.accept())
  await page.reload()
  await page.waitForSelector('.tools >> text=Upload')
  const before = count()
  assert.ok(before < total, 'it was cut')
  await choose(page, 'Folder', join(local, 'many'))
  await page.click('nav.rail a[href="/connect"]')
  await server.put('Many/of somebody else.txt', 'x')
  await page.waitForSelector(`.queue-panel h2 >> text="${total.toLocaleString('en')} uploaded"`, { timeout: 240_000 })
  assert.equal(count(), total)
  for (let n = 0; n < total; n++) assert.equal(readFileSync(disk(`Many/many/d${n % 50}/f${n}.txt`), 'utf8'), `content ${n}`)
  assert.deepEqual(page.wrong, [])
})
