// Files of users reach nothing, names are text, other sites change nothing.
import { test, before, after } from 'node:test'
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { browse, open, serve, signIn } from './harness.mjs'
import { HOSTILE } from './names.mjs'

let server, browser
before(async () => { [server, browser] = await Promise.all([serve(), browse()]) })
after(async () => { await browser?.close(); await server?.stop() })

const EVIL = `fetch('/api/v1/me',{credentials:'include'}).then(r=>r.json()).then(m=>{window.reached=m.name;document.title='reached '+m.name}).catch(()=>{})`

test('pages that people have uploaded do not reach the API', async () => {
  await server.put('evil.html', `<!doctype html><title>quiet</title><script>${EVIL}</script>`)
  await server.put('evil.svg', `<svg xmlns="http://www.w3.org/2000/svg"><script>${EVIL}</script></svg>`)
  await server.put('evil.txt', `<script>${EVIL}</script>`)
  await server.put('evil.xhtml', `<html xmlns="http://www.w3.org/1999/xhtml"><head><title>quiet</title><script>${EVIL}</script></head></html>`)
  const page = await open(browser, server, { expected: [/./] })
  await signIn(page)
  for (const name of ['evil.html', 'evil.svg', 'evil.txt', 'evil.xhtml']) {
    for (const path of [`/api/v1/files/content?path=${name}`, `/dav/${name}`]) {
      const tab = await page.context().newPage()
      let asked = false
      tab.on('request', (request) => { if (request.url().endsWith('/api/v1/me')) asked = true })
      await tab.goto(server.url + path).catch(() => {})
      await tab.waitForTimeout(150)
      assert.ok(!asked && !(await tab.title()).includes('reached'), path)
      // In a frame of the app, and as a picture.
      await page.evaluate((src) => { const frame = document.createElement('iframe'); frame.src = src; document.body.append(frame); const img = new Image(); img.src = src }, path)
      await tab.close()
    }
  }
  await page.waitForTimeout(300)
  assert.equal(await page.evaluate(() => window.reached), undefined)
  assert.equal(page.frames().slice(1).filter((frame) => frame.url().includes('reached')).length, 0)
})

test('without the headers of files the same page would reach the API: the test above can fail', async () => {
  await server.put('control.html', `<!doctype html><title>quiet</title><script>${EVIL}</script>`)
  const page = await open(browser, server, { expected: [/./] })
  await signIn(page)
  const tab = await page.context().newPage()
  await tab.route('**/files/content?path=control.html', async (route) => {
    const answer = await route.fetch()
    const headers = answer.headers()
    for (const name of ['content-security-policy', 'content-disposition', 'x-frame-options']) delete headers[name]
    await route.fulfill({ response: answer, headers })
  })
  await tab.goto(`${server.url}/api/v1/files/content?path=control.html`)
  await tab.waitForFunction(() => document.title === 'reached ana')
})

test('files of users are no scripts, styles or workers of the app', async () => {
  await server.put('code.js', 'window.ran = true; self.onmessage = () => {}')
  await server.put('code.css', 'body { display: none }')
  const page = await open(browser, server, { expected: [/./] })
  await signIn(page)
  const outcome = await page.evaluate(async () => {
    const load = (make) => new Promise((done) => { const el = make(); el.onload = () => done('loaded'); el.onerror = () => done('refused'); document.head.append(el) })
    const script = await load(() => Object.assign(document.createElement('link'), { rel: 'modulepreload', href: '/api/v1/files/content?path=code.js' }))
    const style = await load(() => Object.assign(document.createElement('link'), { rel: 'stylesheet', href: '/dav/code.css' }))
    const module = await import('/api/v1/files/content?path=code.js').then(() => 'loaded', () => 'refused')
    const worker = await new Promise((done) => { try { const made = new Worker('/dav/code.js'); made.onerror = () => done('refused'); setTimeout(() => done('loaded'), 5000) } catch { done('refused') } })
    const service = await navigator.serviceWorker.register('/api/v1/files/content?path=code.js').then(() => 'loaded', () => 'refused')
    return { script, style, module, worker, service, ran: window.ran }
  })
  assert.deepEqual(outcome, { script: 'refused', style: 'refused', module: 'refused', worker: 'refused', service: 'refused', ran: undefined })
})

test('were they not refused, the browser would run them: the test above can fail', async () => {
  await server.put('control.js', 'window.ran = true')
  const page = await open(browser, server, { expected: [/./] })
  await signIn(page)
  const answer = await server.ask('GET', '/dav/control.js')
  const { 'content-disposition': _, ...headers } = Object.fromEntries(answer.headers)
  const body = await answer.text()
  await page.route('**/dav/control.js', (route) => route.fulfill({ status: 200, headers, body }))
  assert.equal(await page.evaluate(() => import('/dav/control.js').then(() => window.ran)), true)
})

test('markup cannot be made of text: the policy holds even against the app', async () => {
  const page = await open(browser, server, { expected: [/./] })
  await signIn(page)
  const outcome = await page.evaluate(() => {
    const tries = { html: () => { document.createElement('div').innerHTML = '<b>x</b>' }, code: () => { (0, eval)('1') }, style: () => { const el = document.createElement('div'); el.setAttribute('style', 'color: red'); document.body.append(el); if (el.style.color !== 'red') throw new Error('blocked') } }
    // What the debugger runs by itself may evaluate; what it leaves behind may not.
    return new Promise((done) => setTimeout(() => done(Object.fromEntries(Object.entries(tries).map(([name, run]) => { try { run(); return [name, 'done'] } catch { return [name, 'refused'] } })))))
  })
  assert.deepEqual(outcome, { html: 'refused', code: 'refused', style: 'refused' })
})

test('hostile names are text, and every one can be opened by its address', async () => {
  await server.folderAt('Hostile')
  for (const name of HOSTILE) assert.ok((await server.folderAt(`Hostile/${name}`)).ok, name)
  const page = await open(browser, server)
  await signIn(page, 'ana', '/files/Hostile')
  await page.waitForSelector('.row[data-index]')
  const shown = new Set()
  const count = Number(await page.getAttribute('.grid', 'aria-rowcount')) - 1
  assert.equal(count, HOSTILE.length)
  for (const name of await page.locator('.row[data-index] .name .name, .row[data-index] a .name').allTextContents()) shown.add(name)
  await page.locator('.row[data-index]').first().focus()
  await page.keyboard.press('End')
  await page.waitForFunction((last) => document.activeElement.getAttribute('aria-rowindex') === last, String(count + 1))
  for (const name of await page.locator('.row[data-index] a .name').allTextContents()) shown.add(name)
  for (const name of HOSTILE) assert.ok(shown.has(name), `${JSON.stringify(name)} is shown as it is`)
  for (const name of HOSTILE) {
    await page.goto(`${server.url}/files/Hostile/${encodeURIComponent(name)}`)
    await page.waitForSelector('.empty >> text=This folder is empty')
    assert.equal(await page.locator('.crumbs li').last().textContent(), name)
  }
  assert.equal(await page.evaluate(() => document.querySelectorAll('img[onerror], [onclick]').length), 0)
  assert.deepEqual(page.wrong, [])
})

test('a page of another site changes nothing', async () => {
  const foreign = createServer((_, answer) => { answer.setHeader('Content-Type', 'text/html'); answer.end('<!doctype html><title>x</title>') })
  await new Promise((done) => foreign.listen(0, '127.0.0.1', done))
  try {
    await server.put('precious.txt', 'x')
    const page = await open(browser, server, { expected: [/./] })
    await signIn(page)
    const other = await page.context().newPage()
    await other.goto(`http://localhost:${foreign.address().port}/`)
    const outcome = await other.evaluate(async (url) => {
      const send = (init, path) => fetch(url + path, { credentials: 'include', mode: 'no-cors', ...init }).then(() => 'sent', () => 'refused')
      await send({ method: 'POST', body: '{"paths":["precious.txt"]}', headers: { 'Content-Type': 'text/plain' } }, '/api/v1/files/delete')
      await send({ method: 'POST', body: '' }, '/api/v1/logout')
      const read = await fetch(`${url}/api/v1/me`, { credentials: 'include' }).then(() => 'read', () => 'refused')
      const form = document.createElement('form')
      form.method = 'post'
      form.enctype = 'multipart/form-data'
      form.action = `${url}/api/v1/files?path=`
      document.body.append(form)
      form.submit()
      return read
    }, server.url)
    assert.equal(outcome, 'refused')
    await other.waitForTimeout(500)
    assert.ok((await server.ask('GET', '/dav/precious.txt')).ok)
    await page.reload()
    await page.waitForSelector('nav.rail')
  } finally { foreign.close() }
})

test('the app is in no frame of another page, and its headers say what it may do', async () => {
  const answer = await fetch(server.url)
  const policy = answer.headers.get('content-security-policy')
  for (const rule of ["default-src 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'", "base-uri 'none'"]) assert.ok(policy.includes(rule), rule)
  assert.ok(!/unsafe|data:|\*/.test(policy), policy)
  assert.equal(answer.headers.get('x-frame-options'), 'DENY')
  assert.equal(answer.headers.get('referrer-policy'), 'no-referrer')
  assert.match(answer.headers.get('etag'), /^"[0-9a-f]+"$/)
  const again = await fetch(server.url, { headers: { 'If-None-Match': answer.headers.get('etag') } })
  assert.equal(again.status, 304)
  const css = /href="(\/_\/[^"]*app\.css)"/.exec(await answer.text())[1]
  assert.equal((await fetch(server.url + css)).headers.get('cache-control'), 'public, max-age=31536000, immutable')
})
