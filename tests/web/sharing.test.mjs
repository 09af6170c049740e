// Pictures on the pages of links, people found by the first letters, what everybody shares as administrators see it.
import { test, before, after } from 'node:test'
import assert from 'node:assert/strict'
import { crc32, deflateSync } from 'node:zlib'
import { browse, findings, open, serve, shot, signIn } from './harness.mjs'

let server, browser
before(async () => { [server, browser] = await Promise.all([serve(['ana', 'ben', 'bennet']), browse()]) })
after(async () => { await browser?.close(); await server?.stop() })

/** A PNG of one colour. */
function png(width, height, colour) {
  const chunk = (kind, body) => {
    const out = Buffer.alloc(body.length + 12)
    out.writeUInt32BE(body.length)
    out.write(kind, 4, 'latin1')
    body.copy(out, 8)
    out.writeUInt32BE(crc32(out.subarray(4, body.length + 8)), body.length + 8)
    return out
  }
  const head = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0])
  head.writeUInt32BE(width)
  head.writeUInt32BE(height, 4)
  const row = Buffer.concat([Buffer.of(0), Buffer.concat(Array(width).fill(Buffer.from(colour)))])
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('IDAT', deflateSync(Buffer.concat(Array(height).fill(row)))), chunk('IEND', Buffer.alloc(0))])
}

test('pictures of a link show as tiles, and as a list when that is wished for', async () => {
  await server.folderAt('Holiday')
  await server.folderAt('Holiday/More')
  for (let n = 0; n < 6; n++) await server.put(`Holiday/<b>photo ${n}.png`, png(600, 400, [40 * n, 90, 200]))
  await server.put('Holiday/broken.jpg', 'no picture')
  await server.put('Holiday/read me.txt', 'hello')
  const { token } = await server.json('POST', '/api/v1/links', { path: 'Holiday' })
  for (const [language, width, scheme] of [['en', 1280, 'light'], ['ar', 390, 'dark'], ['de', 320, 'light']]) {
    const page = await open(browser, server, { language, width, scheme, expected: [/422.*thumbnail/] })
    const asked = []
    page.on('response', (answer) => asked.push([new URL(answer.url()).pathname, answer.status()]))
    await page.goto(`${server.url}/s/${token}`)
    await page.waitForSelector('table.tiles img')
    // Not the last picture: one that cannot be read is replaced by an icon meanwhile.
    await page.locator('table.tiles tr').last().scrollIntoViewIfNeeded()
    await page.waitForFunction(() => [...document.querySelectorAll('.tiles img')].filter((img) => img.complete && img.naturalWidth === 320).length >= 4)
    await page.waitForFunction(() => document.querySelector('.tiles a[data-file="broken.jpg"] .icon'))
    assert.ok(!asked.some(([path]) => path.endsWith('/file')), 'nothing is downloaded')
    await shot(page, `public-tiles-${scheme}-${language}-${width}`)
    assert.equal(await findings(page), '')
    assert.equal(await page.locator('.tiles a[data-file*="photo 1"] bdi').textContent(), '<b>photo 1.png')
    await page.locator('.tiles a[data-file*="photo 1"]').click()
    await page.waitForSelector('.viewer img')
    await page.keyboard.press('Escape')
    await page.locator('main > button').click()
    await page.waitForSelector('table:not(.tiles)')
    assert.equal(await findings(page), '')
    await page.reload()
    await page.waitForSelector('main > button')
    assert.equal(await page.locator('table.tiles').count(), 0, 'the choice is kept')
    assert.deepEqual(page.wrong, [])
    await page.context().close()
  }
  const links = (await server.ask('GET', '/api/v1/links').then((answer) => answer.json())).items
  assert.equal(links[0].downloads, 3, 'the pictures that were opened')
})

test('without scripts, and where downloads are limited, the page is the list it was', async () => {
  await server.folderAt('Few')
  await server.put('Few/a.png', png(60, 40, [1, 2, 3]))
  const { token } = await server.json('POST', '/api/v1/links', { path: 'Few', max_downloads: 3 })
  const page = await open(browser, server)
  await page.goto(`${server.url}/s/${token}`)
  await page.waitForFunction(() => document.querySelector('[data-size]')?.textContent.includes('byte'))
  assert.equal(await page.locator('img').count(), 0)
  const plain = await browser.newContext({ javaScriptEnabled: false })
  const bare = await plain.newPage()
  await bare.goto(`${server.url}/s/${token}`)
  assert.equal(await bare.locator('td a').count(), 1)
  assert.deepEqual(page.wrong, [])
})

test('whom to share with is found by the first letters, also for who administers nothing', async () => {
  await server.folderAt('Hers', 'ben')
  await server.json('PATCH', '/api/v1/me', { display_name: 'Ana <i>Maria' })
  await server.json('POST', '/api/v1/groups', { name: 'anglers', members: ['ana'] })
  const page = await open(browser, server)
  await signIn(page, 'ben')
  await page.locator('.row[data-index]:has-text("Hers") .row-menu').click()
  await page.locator('[role=menuitem]:has-text("Share")').first().click()
  await page.click('dialog >> text=Share with somebody')
  const dialog = page.locator('dialog').last()
  const known = () => page.evaluate(() => [...document.querySelectorAll('datalist option')].map((one) => `${one.value} ${one.label}`))
  await dialog.locator('input').first().pressSequentially('an')
  await page.waitForSelector('datalist option', { state: 'attached' })
  assert.deepEqual(await known(), ['ana Ana <i>Maria'])
  await dialog.locator('select').first().selectOption('group')
  await page.waitForFunction(() => document.querySelector('datalist option')?.value === 'anglers')
  await dialog.locator('input').first().fill('anglers')
  await dialog.locator('button.primary').click()
  await page.waitForSelector('dialog li:has-text("anglers")')
  assert.deepEqual(page.wrong, [])
})

test('an administrator sees what everybody shares, and ends it', async () => {
  await server.folderAt('Secret plans', 'ben')
  await server.json('POST', '/api/v1/shares', { path: '/Secret plans', to: { account: 'bennet' }, rights: 'view' }, 'ben')
  const { token } = await server.json('POST', '/api/v1/links', { path: 'Secret plans' }, 'ben')
  const page = await open(browser, server)
  await signIn(page, 'ana', '/admin/shares')
  await page.locator('tr:has-text("Secret plans"):has-text("bennet") button.danger').click()
  await page.waitForSelector('dialog >> text=of')
  await shot(page, 'admin-end')
  await page.click('dialog button.danger')
  await page.waitForFunction(() => !document.querySelector('main').textContent.includes('Secret plans'))
  await page.click('.tabs a[href="/admin/links"]')
  await page.locator('tr:has-text("Secret plans") button.danger').click()
  await page.click('dialog button.danger')
  await page.waitForFunction(() => !document.querySelector('main').textContent.includes('Secret plans'))
  assert.equal((await fetch(`${server.url}/s/${token}`)).status, 404)
  await page.click('.tabs a[href="/admin/audit"]')
  await page.waitForSelector('td:has-text("link-ended")')
  await page.waitForSelector('td:has-text("share-ended")')
  assert.deepEqual(page.wrong, [])
})
