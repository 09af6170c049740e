// Every view: nothing that axe finds (WCAG 2.2 AA), no horizontal scroll; light, dark and right to left, at 1280, 390 and 320 px.
import { test, before, after } from 'node:test'
import assert from 'node:assert/strict'
import { browse, findings, open, serve, shot, signIn } from './harness.mjs'
import { HOSTILE } from './names.mjs'

let server, browser
before(async () => { [server, browser] = await Promise.all([serve(), browse()]) ; await furnish() })
after(async () => { await browser?.close(); await server?.stop() })

/** Something to see in every view, under names that try to be more than names. */
async function furnish() {
  await server.folderAt('Documents')
  for (const name of HOSTILE) await server.put(`Documents/${name}`, 'x'.repeat(2000))
  await server.put('notes.txt', 'first')
  await server.put('notes.txt', 'second')
  await server.put('gone.txt', 'x')
  await server.ask('DELETE', '/dav/gone.txt')
  await server.json('POST', '/api/v1/shares', { path: '/Documents', to: { account: 'ben' }, rights: 'edit', note: '<b>note' })
  await server.folderAt('From ben', 'ben')
  await server.json('POST', '/api/v1/shares', { path: '/From ben', to: { account: 'ana' }, rights: 'view' }, 'ben')
  await server.json('POST', '/api/v1/links', { path: 'Documents', rights: 'view', password: 'seaside', expires: '2099-01-01T00:00:00Z' })
  await server.json('POST', '/api/v1/app-passwords', { name: 'Phone <i>' })
  await server.json('POST', '/api/v1/groups', { name: 'staff', members: ['ana', 'ben'] })
  await server.json('POST', '/api/v1/team-folders', { name: 'Plans', members: [{ to: { group: 'staff' }, rights: 'edit' }], quota: 1e9 })
  await server.json('POST', '/api/v1/invites', { note: 'Cleo' })
  await server.ask('LOCK', '/dav/notes.txt', { body: '<?xml version="1.0"?><lockinfo xmlns="DAV:"><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>', headers: { 'Content-Type': 'application/xml' } })
}

const VIEWS = ['/', '/files/Documents', '/shared', '/shared/by', '/shared/links', '/trash', '/rewind', '/connect', '/account', '/admin', '/admin/accounts', '/admin/groups', '/admin/invites', '/admin/teams', '/admin/shares', '/admin/links', '/admin/removed', '/admin/locks', '/admin/audit']
const ALL_LOOKS = [['light', 'en', 1280], ['dark', 'en', 1280], ['light', 'ar', 1280], ['dark', 'en', 390], ['light', 'ar', 390], ['light', 'en', 320], ['dark', 'de', 320]]
// With QUICK those that have each width, each direction and both schemes in them.
const LOOKS = ALL_LOOKS.filter((_, at) => !process.env.QUICK || at % 2 === 0)

/** What opens over a view, and how. */
const DIALOGS = {
  menu: ['/', (page) => page.locator('.row-menu').first().click()],
  share: ['/', (page) => pick(page, /Share|Teilen|مشاركة/)],
  details: ['/', (page) => pick(page, /Details|تفاصيل/)],
  versions: ['/', (page) => pick(page, /Versions|Versionen|إصدارات/, 'notes')],
  picker: ['/', (page) => pick(page, /Move|Verschieben|نقل/)],
  preview: ['/', (page) => page.locator('.row[data-index] a:has-text("notes")').click()],
  tiles: ['/files/Documents', (page) => page.locator('.tools .tool').last().click()],
  keys: ['/', (page) => page.keyboard.press('?')],
}

async function pick(page, words, name = 'Documents') {
  await page.locator(`.row[data-index]:has-text("${name}") .row-menu`).click()
  await page.locator('[role=menuitem]').filter({ hasText: words }).first().click()
  await page.waitForSelector('dialog[open], .details')
}

for (const [scheme, language, width] of LOOKS) {
  test(`every view is sound: ${scheme}, ${language}, ${width} px`, async () => {
    const page = await open(browser, server, { scheme, language, width, height: width > 700 ? 800 : 780, expected: [/422.*files\/thumbnail/] })
    const found = []
    const check = async (name) => {
      await page.waitForTimeout(150)
      await shot(page, `${name}-${scheme}-${language}-${width}`)
      const text = await findings(page)
      if (text) found.push(`${name}: ${text}`)
    }
    await page.goto(`${server.url}/login`)
    await page.waitForSelector('input[name=password]')
    await check('login')
    await page.goto(`${server.url}/register`)
    await page.waitForSelector('input[name=password]')
    await check('register')
    await signIn(page)
    await page.waitForSelector('.connect-card')
    for (const view of VIEWS) {
      await page.goto(server.url + view)
      await page.waitForSelector('main > :first-child h1')
      await page.waitForFunction(() => !document.querySelector('[aria-busy=true]'))
      await check(view === '/' ? 'files' : view.slice(1).replace('/', '-'))
    }
    for (const [name, [view, act]] of Object.entries(DIALOGS)) {
      await page.goto(server.url + view)
      await page.waitForSelector('.row[data-index]')
      await act(page)
      await page.waitForTimeout(300)
      await check(name)
    }
    assert.equal(found.join('\n\n'), '')
    assert.deepEqual(page.wrong, [])
    await page.context().close()
  })
}

test('every action is reached by Tab, and what has the focus is seen', async () => {
  const page = await open(browser, server)
  await signIn(page)
  for (const view of VIEWS) {
    await page.goto(server.url + view)
    await page.waitForSelector('main > :first-child h1')
    await page.waitForFunction(() => !document.querySelector('[aria-busy=true]'))
    const missed = await page.evaluate(() => {
      const own = (el) => el.closest('[data-index], [role=tablist]') || el.closest('.row.head')
      return [...document.querySelectorAll('button, a[href], input, select, textarea')].filter((el) => el.checkVisibility({ visibilityProperty: true }) && el.tabIndex < 0 && !own(el) && !el.classList.contains('gone')).map((el) => el.outerHTML.slice(0, 120))
    })
    assert.deepEqual(missed, [], view)
  }
})
