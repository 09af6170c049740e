// A text that somebody else has changed meanwhile: what differs is shown, and nothing that was typed is lost.
import { test, before, after } from 'node:test'
import assert from 'node:assert/strict'
import { existsSync, readFileSync, unlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { browse, findings, open, serve, shot, signIn } from './harness.mjs'

let server, browser
before(async () => { [server, browser] = await Promise.all([serve(), browse()]) })
after(async () => { await browser?.close(); await server?.stop() })

const web = process.env.WEB || join(dirname(fileURLToPath(import.meta.url)), '../../web')
const { differences } = await import(pathToFileURL(join(web, 'views/diff.js')))
const stored = (path) => readFileSync(join(server.home('ana'), path), 'utf8')
const settle = async (check) => { for (let n = 0; n < 600; n++) { if (await check()) return; await new Promise((done) => setTimeout(done, 50)) } assert.fail('it did not come to be') }
const POEM = ['one', 'two', 'three', 'four', 'five', 'six', ''].join('\n')

/** The editor of a file in a folder of its own, in which `mine` is typed while somebody else stores `theirs`. */
async function collide(folder, mine, theirs, options = {}) {
  await server.folderAt(folder)
  await server.put(`${folder}/poem.txt`, options.before ?? POEM)
  const page = await open(browser, server, { expected: [/412|404|409/], ...options })
  await signIn(page, 'ana', `/files/${folder}`)
  await page.locator('.row[data-index]:has-text("poem.txt") .row-menu').click()
  await page.click('[role=menuitem] >> text=Edit')
  await page.waitForSelector('.editor')
  await page.fill('.editor', mine)
  if (theirs != null) await server.put(`${folder}/poem.txt`, theirs)
  else unlinkSync(join(server.home('ana'), folder, 'poem.txt'))
  await page.locator('.editor').focus()
  await page.keyboard.press('Control+s')
  await page.waitForSelector('dialog >> text=Somebody else has changed this')
  return page
}

test('where two texts differ', () => {
  const pieces = (one, other) => differences(one, other).map(({ line, one, other }) => [line, one.join('|'), other.join('|')])
  assert.deepEqual(pieces('a\nb\nc', 'a\nb\nc'), [])
  assert.deepEqual(pieces('a\nb\nc\nd', 'a\nB\nc\nD'), [[2, 'b', 'B'], [4, 'd', 'D']])
  assert.deepEqual(pieces('a\nc', 'a\nb\nc\n'), [[2, '', 'b'], [3, '', '']])
  assert.deepEqual(pieces('', 'a'), [[1, '', 'a']])
  assert.deepEqual(pieces('a\na\nb', 'a\nb'), [[2, 'a', '']])
  // What is left of the first and what came of the second makes the second, whatever the texts are.
  let seed = 7
  const random = (n) => { seed = seed * 48271 % 2147483647; return seed % n }
  for (let round = 0; round < 500; round++) {
    const [one, other] = [0, 0].map(() => Array.from({ length: random(12) }, () => 'abc'[random(3)]).join('\n'))
    const lines = one.split('\n')
    for (const piece of differences(one, other).reverse()) {
      assert.deepEqual(lines.slice(piece.line - 1, piece.line - 1 + piece.one.length), piece.one)
      lines.splice(piece.line - 1, piece.one.length, ...piece.other)
    }
    assert.equal(lines.join('\n'), other)
  }
  const many = Array.from({ length: 5000 }, (_, n) => `line ${n}`)
  const began = performance.now()
  assert.equal(differences(['x', ...many].join('\n'), [...many.map((line) => `${line}!`), 'y'].join('\n')).length, 1, 'one piece where there is too much to compare')
  assert.ok(performance.now() - began < 1000)
})

test('by mouse: what differs is shown side by side; mine is kept, theirs is among the versions', async () => {
  const page = await collide('Mine', POEM.replace('two', 'my two'), POEM.replace('five', 'their five'))
  const cells = await page.locator('.diff tbody tr').evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent)))
  assert.deepEqual(cells, [['2', 'my two', 'two'], ['5', 'five', 'their five']])
  await shot(page, 'merge')
  assert.equal(await findings(page), '')
  await page.click('dialog >> text=Keep mine')
  await page.click('dialog >> text=Continue')
  await page.waitForSelector('.toast >> text=saved')
  assert.equal(stored('Mine/poem.txt'), POEM.replace('two', 'my two'))
  const { items } = await (await server.ask('GET', '/api/v1/versions?path=Mine/poem.txt')).json()
  assert.ok(items.length >= 2)
  assert.deepEqual(page.wrong, [])
})

test('by keyboard alone: theirs is taken, mine is had back, theirs is gone on with', async () => {
  const page = await collide('Theirs', 'mine\n', 'theirs\r\nand more\r\n')
  const focused = () => page.evaluate(() => document.activeElement.value)
  assert.equal(await focused(), 'copy', 'nothing is lost by Enter alone')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowDown')
  assert.equal(await focused(), 'theirs')
  await page.keyboard.press('Enter')
  await page.waitForFunction(() => document.activeElement.value === 'theirs\nand more\n')
  assert.equal(stored('Theirs/poem.txt'), 'theirs\r\nand more\r\n', 'nothing is stored by that')
  await page.keyboard.press('Tab')
  assert.match(await page.evaluate(() => document.activeElement.textContent), /other text/)
  await page.keyboard.press('Enter')
  assert.equal(await page.inputValue('.editor'), 'mine\n')
  await page.keyboard.press('Enter')
  await page.keyboard.press('Shift+Tab')
  await page.keyboard.press('Control+Home')
  await page.keyboard.type('now ')
  await page.keyboard.press('Control+s')
  await page.waitForSelector('.toast >> text=saved')
  assert.equal(stored('Theirs/poem.txt'), 'now theirs\r\nand more\r\n', 'with the line ends of theirs')
  assert.deepEqual(page.wrong, [])
})

test('by touch at 320 px: mine is a copy beside it, and further edits go there', async () => {
  await server.folderAt('Copy')
  await server.put('Copy/poem (2).txt', 'taken')
  const page = await collide('Copy', 'mine\nof two lines', 'theirs', { before: 'was\r\nhere\r\n', width: 320, height: 640 })
  assert.equal(await findings(page), '')
  await shot(page, 'merge-320')
  await page.tap('dialog >> text=Continue')
  await page.waitForSelector('.toast >> text=saved')
  assert.equal(stored('Copy/poem.txt'), 'theirs')
  assert.equal(stored('Copy/poem (2).txt'), 'taken')
  assert.equal(stored('Copy/poem (3).txt'), 'mine\r\nof two lines', 'with the line ends that the file had')
  assert.equal(await page.textContent('dialog h2'), 'poem (3).txt')
  await page.fill('.editor', 'more of mine')
  await page.tap('dialog >> text=Save')
  await settle(() => stored('Copy/poem (3).txt') === 'more of mine')
  assert.equal(stored('Copy/poem.txt'), 'theirs')
  assert.deepEqual(page.wrong, [])
})

test('closing the question loses nothing, and the next save asks again', async () => {
  const page = await collide('Escape', 'mine', 'theirs')
  await page.keyboard.press('Escape')
  await page.waitForFunction(() => document.querySelectorAll('dialog').length === 1)
  assert.equal(await page.inputValue('.editor'), 'mine')
  assert.equal(stored('Escape/poem.txt'), 'theirs')
  await server.put('Escape/poem.txt', 'theirs again')
  await page.keyboard.press('Control+s')
  await page.waitForSelector('.diff >> text=theirs again')
  // Somebody is faster once more: it is asked about what is there now.
  await server.put('Escape/poem.txt', 'theirs for the third time')
  await page.click('dialog >> text=Keep mine')
  await page.click('dialog >> text=Continue')
  await page.waitForSelector('.diff >> text=theirs for the third time')
  assert.equal(stored('Escape/poem.txt'), 'theirs for the third time')
  await page.click('dialog >> text=Keep mine')
  await page.click('dialog >> text=Continue')
  await page.waitForSelector('.toast >> text=saved')
  assert.equal(stored('Escape/poem.txt'), 'mine')
  assert.deepEqual(page.wrong, [])
})

test('what was deleted or is no text any more is said, and mine is kept', async () => {
  const page = await collide('Gone', 'mine', null)
  assert.match(await page.textContent('.diff'), /not there any more/)
  assert.equal(await page.locator('dialog input[value=theirs]').count(), 0)
  await page.click('dialog >> text=Keep mine')
  await page.click('dialog >> text=Continue')
  await page.waitForSelector('.toast >> text=saved')
  assert.equal(stored('Gone/poem.txt'), 'mine')
  await server.put('Gone/poem.txt', Buffer.of(0xff, 0xfe, 0x00))
  await page.fill('.editor', 'mine again')
  await page.keyboard.press('Control+s')
  await page.waitForSelector('.diff >> text=not text')
  await page.click('dialog >> text=Continue')
  await settle(() => existsSync(join(server.home('ana'), 'Gone/poem (2).txt')))
  assert.equal(stored('Gone/poem (2).txt'), 'mine again')
  assert.deepEqual(page.wrong, [])
})

test('what is typed while a save is under way is not taken for saved', async () => {
  await server.put('slow.txt', 'before')
  const page = await open(browser, server)
  await signIn(page)
  await page.locator('.row[data-index]:has-text("slow.txt") .row-menu').click()
  await page.click('[role=menuitem] >> text=Edit')
  await page.fill('.editor', 'saved')
  await page.route('**/files/content?**', async (route) => {
    if (route.request().method() === 'PUT') await page.fill('.editor', 'saved and more')
    await route.continue()
  })
  await page.locator('.editor').focus()
  await page.keyboard.press('Control+s')
  await page.waitForSelector('.toast >> text=saved')
  assert.equal(stored('slow.txt'), 'saved')
  await page.keyboard.press('Escape')
  await page.waitForSelector('dialog >> text=Not saved')
  assert.deepEqual(page.wrong, [])
})
