// The flows that everybody needs, in Firefox ESR.
import { test, before, after } from 'node:test'
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { browseFirefox, firefoxAt, open, serve, shot, signIn } from './harness.mjs'

const missing = !firefoxAt && 'needs firefox-esr'
let server, browser, local
before(async () => {
  if (missing) return
  ;[server, browser] = await Promise.all([serve(), browseFirefox()])
  local = mkdtempSync(join(tmpdir(), 'sarang-firefox-'))
})
after(async () => { await browser?.close(); await server?.stop(); if (local) rmSync(local, { recursive: true, force: true }) })

const row = (page, name) => page.locator(`.row[data-index]:has-text("${name}")`)
const onDisk = (path) => existsSync(join(server.home('ana'), path))
const settle = async (check) => { for (let n = 0; n < 600; n++) { if (await check()) return; await new Promise((done) => setTimeout(done, 50)) } assert.fail('it did not come to be') }

test('in Firefox: upload, rename, move, delete and undo, download, share by a link, connect', { skip: missing, timeout: 120_000 }, async () => {
  await server.folderAt('Target')
  writeFileSync(join(local, 'photo.txt'), 'what was uploaded')
  const page = await open(browser, server)
  await signIn(page)

  await page.click('.tools >> text=Upload')
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.click('[role=menuitem] >> text=Files')])
  await chooser.setFiles(join(local, 'photo.txt'))
  await row(page, 'photo.txt').waitFor()
  assert.equal(readFileSync(join(server.home('ana'), 'photo.txt'), 'utf8'), 'what was uploaded')

  await row(page, 'photo.txt').locator('.row-menu').click()
  await page.click('[role=menuitem]:has-text("Rename")')
  await page.keyboard.type('picture')
  await page.keyboard.press('Enter')
  await row(page, 'picture.txt').waitFor()
  assert.ok(onDisk('picture.txt') && !onDisk('photo.txt'))

  await row(page, 'picture.txt').locator('.row-menu').click()
  await page.click('[role=menuitem]:has-text("Move")')
  await page.click('.tree >> text=Target')
  await page.click('dialog button.primary')
  await settle(() => onDisk('Target/picture.txt') && !onDisk('picture.txt'))
  await row(page, 'Target').locator('a').click()
  await row(page, 'picture.txt').waitFor()

  await row(page, 'picture.txt').locator('.check').click()
  await page.keyboard.press('Delete')
  await settle(() => !onDisk('Target/picture.txt'))
  await page.click('.toast:has-text("in the trash") >> text=Undo')
  await settle(() => onDisk('Target/picture.txt'))
  await row(page, 'picture.txt').waitFor()

  await row(page, 'picture.txt').locator('.row-menu').click()
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('[role=menuitem]:has-text("Download")')])
  assert.equal(download.suggestedFilename(), 'picture.txt')
  assert.equal(readFileSync(await download.path(), 'utf8'), 'what was uploaded')

  await page.click('.tools >> text=Share this folder')
  await page.click('dialog >> text=New link')
  await page.locator('dialog').last().locator('button.primary').click()
  await page.waitForSelector('dialog img.qr')
  const url = await page.locator('dialog').last().locator('.copyable input').first().inputValue()
  const stranger = await open(browser, server)
  await stranger.goto(url)
  await stranger.click('a:has-text("picture.txt")')
  await stranger.waitForSelector('.viewer pre >> text=what was uploaded')
  await page.keyboard.press('Escape')
  await page.waitForFunction(() => document.querySelectorAll('dialog').length === 1)
  await page.keyboard.press('Escape')

  await page.click('nav.rail a[href="/connect"]')
  await page.waitForSelector('h1:has-text("Connect")')
  await page.fill('form input', 'Firefox machine')
  await page.click('text=Make a password')
  await page.waitForSelector('text=Waiting for the device')
  const password = await page.locator('.copyable input').nth(2).inputValue()
  const answer = await fetch(`${server.url}/dav/`, { method: 'PROPFIND', headers: { Depth: '0', Authorization: `Basic ${btoa(`ana:${password}`)}` } })
  assert.equal(answer.status, 207)
  await page.waitForSelector('.okay >> text=Firefox machine')
  assert.deepEqual([...page.wrong, ...stranger.wrong], [])
  // Last: to hide the caret, it puts a style into the page, which the policy refuses.
  await shot(page, 'firefox-connect')
})
