// A server with accounts of its own for each file of tests, and pages that fail on any error, any violation of the policy and any
// request to another origin.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, firefox } from 'playwright-core'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

export const PASSWORD = 'correct-horse-battery'
const binary = process.env.SARANG || 'target/debug/sarang'
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Where screenshots go; none are made without it. */
export const shots = process.env.SHOTS

/** A server over an empty data folder with these accounts; the first administers. */
export async function serve(names = ['ana', 'ben'], settings = '', env = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'sarang-web-'))
  const config = join(folder, 'config.toml')
  writeFileSync(config, `data_dir = "${folder}/data"\n[server]\nlisten = ["127.0.0.1:0"]\n[accounts]\nfailures_per_network = 1000000\nfailures_per_account = 1000000\n${settings}`)
  for (const [n, name] of names.entries()) {
    const made = spawnSync(binary, ['--config', config, 'user', 'add', name, ...(n ? [] : ['--admin']), '--password-stdin'], { input: `${PASSWORD}\n` })
    if (made.status) throw new Error(String(made.stderr))
  }
  const server = spawn(binary, ['--config', config, 'serve'], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  let log = ''
  const url = await new Promise((resolve, reject) => {
    const hear = (bytes) => {
      log += bytes
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(log)
      if (found) resolve(found[0])
    }
    server.stdout.on('data', hear)
    server.stderr.on('data', hear)
    server.on('exit', () => reject(new Error(log)))
    setTimeout(() => reject(new Error(`the server did not start: ${log}`)), 30000).unref()
  })
  return {
    url, folder,
    log: () => log,
    home: (name) => join(folder, 'data', 'homes', name),
    /** A request of a program, with Basic. */
    ask: (method, path, { body, headers, as = names[0] } = {}) => fetch(url + path, { method, body, headers: { Authorization: `Basic ${btoa(`${as}:${PASSWORD}`)}`, ...(typeof body === 'string' && path.startsWith('/api') ? { 'Content-Type': 'application/json' } : {}), ...headers } }),
    json(method, path, value, as) { return this.ask(method, path, { body: JSON.stringify(value), as }).then((answer) => answer.json()) },
    put(path, content, as) { return this.ask('PUT', `/dav/${path.split('/').map(encodeURIComponent).join('/')}`, { body: content, as }) },
    folderAt(path, as) { return this.ask('MKCOL', `/dav/${path.split('/').map(encodeURIComponent).join('/')}`, { as }) },
    async stop() {
      const ended = new Promise((resolve) => server.on('exit', resolve))
      server.kill()
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export const browse = () => chromium.launch({ executablePath: process.env.CHROMIUM || '/usr/bin/chromium', headless: process.env.HEADED !== '1', args: ['--no-sandbox', '--disable-dev-shm-usage', '--lang=en'] })

/** Where Firefox is; nothing is run in it where it is missing. */
export const firefoxAt = process.env.FIREFOX
/** Debian's Firefox as it is, over WebDriver BiDi. */
export const browseFirefox = () => firefox.launch({ channel: 'moz-firefox', executablePath: firefoxAt, headless: process.env.HEADED !== '1' })

/** A page in a context of its own. The browser's own viewer of PDFs comes from `chrome:`. `expected` are errors that a test provokes, as patterns. */
export async function open(browser, { url }, { width = 1280, height = 800, scheme = 'light', language = 'en', touch = width < 700, expected = [] } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, locale: language, hasTouch: touch, isMobile: touch, acceptDownloads: true, reducedMotion: 'reduce' })
  const page = await context.newPage()
  const wrong = []
  page.expected = [...expected]
  const note = (text) => { if (!page.expected.some((pattern) => pattern.test(text))) wrong.push(text) }
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) note(`console: ${message.text()} ${message.location().url}`) })
  page.on('pageerror', (error) => note(`page: ${error.stack || error}`))
  page.on('request', (request) => { if (!request.url().startsWith(url) && !/^(blob|data|chrome|chrome-extension):/.test(request.url())) note(`another origin: ${request.url()}`) })
  // Long, for machines that do much else; what is waited for is there at once on others.
  page.setDefaultTimeout(30000)
  page.wrong = wrong
  page.base = url
  return page
}

export async function signIn(page, name = 'ana', to = '/') {
  await page.goto(`${page.base}/login?to=${encodeURIComponent(to)}`)
  await page.fill('input[name=name]', name)
  await page.fill('input[name=password]', PASSWORD)
  await page.click('button.primary')
  await page.waitForSelector('nav.rail')
}

/** Findings of axe (WCAG 2.2 AA) and horizontal scroll, as text; none is ''. */
export async function findings(page) {
  // The policy of the page lets no script in; the debugger may.
  if (!await page.evaluate('!!window.axe')) await page.evaluate(axeSource)
  const found = await page.evaluate(async () => {
    const result = await window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
    return result.violations.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.target} ${node.failureSummary.replace(/\s+/g, ' ')}`).join(' | ')}`)
  })
  const wide = await page.evaluate(() => {
    const root = document.documentElement
    return root.scrollWidth > innerWidth + 1 ? `horizontal scroll: ${root.scrollWidth} in ${innerWidth}` : ''
  })
  return [...found, wide].filter(Boolean).join('\n')
}

export async function shot(page, name) {
  if (!shots) return
  mkdirSync(shots, { recursive: true })
  await page.screenshot({ path: join(shots, `${name}.png`) })
}
