// Uploads by tus 1.0: a queue with absolute targets, so that going elsewhere changes nothing. What was cut goes on where it was,
// after a lost network by itself, after a reload when the same file is chosen again.

import { fill, h, icon, number, remember, remembered, replace, size, t } from '../dom.js'
import { Problem, address, api, base, explain, join, numbered, parent, say, session, signInAgain, told } from '../api.js'
import { button, tool } from '../ui.js'
import { conflict } from './conflict.js'
import { refreshMe } from '../main.js'

/** Below the 100 MB that many proxies let through. */
const CHUNK = 32 << 20
/** Up to here a file goes with the request that begins it. */
const SMALL = 1 << 20
const AT_ONCE = 3
const LONGEST_WAIT = 30
const KEPT = 500
/** Rows of the panel: the rest is told as a number. */
const ROWS = 60

/** @typedef {{ file: File, path: string, state: string, sent: number, why: string, request: XMLHttpRequest|null, overwrite: boolean, tries: number, el: any, wake: (() => void)|null, kept: boolean }} Item */

/** @type {Item[]} */ let items = []
/** @type {Map<string, Promise<any>>} */ const folders = new Map()
let running = 0
let forAll = ''
/** @type {Promise<any>} */ let asking = Promise.resolve()
let paused = false

// --- what a reload may cut: the address of each upload under target, length and time of its file

/** @returns {Record<string, string>} */
const ledger = () => { try { return JSON.parse(remembered('uploads') || '{}') } catch { return {} } }
/** Browsers tell the time of a file in a folder with another fraction at each choice. @param {File} file */
const second = (file) => Math.floor(file.lastModified / 1000)
/** @param {Item} item */
const mark = (item) => `${item.path}\n${item.file.size}\n${second(item.file)}`
/** @param {Item} item @param {string|null} at */
function keep(item, at) {
  const known = ledger()
  if (at) known[mark(item)] = at
  else if (!(mark(item) in known)) return
  else delete known[mark(item)]
  const entries = Object.entries(known).slice(-KEPT)
  remember('uploads', entries.length ? JSON.stringify(Object.fromEntries(entries)) : '')
}

/** Puts files into the queue. @param {{ file: File, path: string }[]} some absolute targets @param {string[]} [empty] folders to be made @param {string} [into] a folder that is there */
export function upload(some, empty = [], into = '') {
  if (!items.some((item) => isOpen(item))) { forAll = ''; paused = false; folders.clear() }
  folders.set(into, Promise.resolve())
  for (const { file, path } of some) items.push({ file, path, state: 'waiting', sent: 0, why: '', request: null, overwrite: false, tries: 0, el: null, wake: null, kept: false })
  for (const folder of empty) makeFolder(folder).then(() => stored(parent(folder)), () => {})
  if (!items.length) return
  show()
  pump()
}

const isOpen = (/** @type {Item} */ item) => ['waiting', 'sending', 'asking', 'resting', 'paused'].includes(item.state)

function pump() {
  for (const item of items) {
    if (paused || running >= AT_ONCE) break
    if (item.state !== 'waiting') continue
    running += 1
    set(item, 'sending')
    send(item).then((state) => set(item, state), (error) => { item.why = say(error); set(item, item.state === 'gone' || item.state === 'paused' ? item.state : 'failed') })
      .finally(() => { running -= 1; item.request = null; pump() })
  }
  if (!running && !items.some(isOpen) && items.length) { refreshMe().catch(() => {}); draw() }
}

/** @param {Item} item @param {string} state */
function set(item, state) {
  item.state = state
  if (state === 'done') stored(parent(item.path))
  draw()
}

/** Tells views that something is there. @param {string} folder */
const stored = (folder) => {
  const above = new Set([folder])
  for (let at = folder; at; at = parent(at)) above.add(parent(at))
  dispatchEvent(new CustomEvent('sarang:stored', { detail: { folders: above } }))
}

/** Makes a folder and those above it, each once. @param {string} path @returns {Promise<any>} */
function makeFolder(path) {
  if (!path) return Promise.resolve()
  let made = folders.get(path)
  if (!made) {
    made = makeFolder(parent(path)).then(() => patiently(() => api('POST', 'files/folder', { body: { path } }).catch((error) => { if (error.code !== 'exists') throw error })))
    folders.set(path, made)
    made.catch(() => folders.delete(path))
  }
  return made
}

/** Tries again what a lost network or a busy server stopped. @param {() => Promise<any>} work @param {Item} [item] */
async function patiently(work, item) {
  for (let wait = 1; ; wait = Math.min(wait * 2, LONGEST_WAIT)) {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof Problem) || ![0, 429, 502, 503, 504].includes(error.status) || item && item.state !== 'sending') throw error
      if (item) { item.why = say(error); set(item, 'resting') }
      await rest(Math.max(wait, error.after), item)
      if (item) {
        if (item.state !== 'resting') throw error
        set(item, 'sending')
      }
    }
  }
}

/** @param {number} seconds @param {Item} [item] may be woken */
function rest(seconds, item) {
  return new Promise((resolve) => {
    const wake = () => { clearTimeout(timer); removeEventListener('online', wake); resolve(null) }
    const timer = setTimeout(wake, seconds * 1000)
    addEventListener('online', wake)
    if (item) item.wake = wake
  })
}

const base64 = (/** @type {string} */ text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)))

/** @param {Item} item */
function beginning(item) {
  const pairs = { path: item.path, modified: String(item.file.lastModified), overwrite: String(item.overwrite) }
  return { 'Upload-Length': String(item.file.size), 'Upload-Metadata': Object.entries(pairs).map(([key, value]) => `${key} ${base64(value)}`).join(',') }
}

/** Sends one file. @param {Item} item @returns {Promise<string>} what became of it */
async function send(item) {
  const folder = parent(item.path)
  const stood = item.path
  if (folder) await patiently(() => makeFolder(folder), item)
  for (;;) {
    try {
      await patiently(() => once(item), item)
      keep(item, null)
      return 'done'
    } catch (error) {
      if (!(error instanceof Problem)) throw error
      if (error.code === 'exists' && await isThere(item)) { keep(item, null); return 'done' }
      if (error.code === 'exists') {
        const what = await decide(item)
        if (what === 'skip') { keep(item, null); return 'skipped' }
        if (what === 'replace') item.overwrite = true
        else item.path = await freeName(stood)
        set(item, 'sending')
      } else if (error.status === 404 && item.kept) {
        // It was given up meanwhile.
        item.kept = false
        keep(item, null)
      } else if (error.code === 'parent_missing' && item.tries++ < 2) {
        folders.clear()
        await patiently(() => makeFolder(folder), item)
      } else throw await explain(error, item.path)
    }
  }
}

/** The first way to go on that works: begin, or where it was cut. @param {Item} item */
async function once(item) {
  const { file } = item
  const known = ledger()[mark(item)]
  let at = known || ''
  item.kept = !!known
  if (!at) {
    const small = file.size <= SMALL
    item.tries += 1
    const begun = await put(item, 'POST', address('uploads'), { ...beginning(item), ...(small ? BYTES : {}) }, small ? file : null, 0)
    if (small) return
    at = begun.getResponseHeader('Location') || ''
    keep(item, at)
    item.kept = true
    item.sent = 0
  } else {
    const head = await put(item, 'HEAD', at, {}, null, 0)
    item.sent = Number(head.getResponseHeader('Upload-Offset'))
    if (head.getResponseHeader('ETag')) return
  }
  do {
    const from = item.sent
    const part = file.slice(from, from + CHUNK)
    try {
      const done = await put(item, 'PATCH', at, { ...BYTES, 'Upload-Offset': String(from) }, part, from)
      item.sent = Number(done.getResponseHeader('Upload-Offset'))
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'conflict') throw error
      // Another tab went on with it, or an answer was lost: ask where it is.
      throw new Problem(0)
    }
  } while (item.sent < file.size)
}

/** Ends what is unfinished at an address. @param {string} at */
const abort = (at) => fetch(at, { method: 'DELETE', headers: { 'Tus-Resumable': '1.0.0', 'X-Requested-With': 'sarang' } }).catch(() => {})

const BYTES = { 'Content-Type': 'application/offset+octet-stream' }

/** A request that tells how far it is. @param {Item} item @param {string} method @param {string} to @param {Record<string, string>} headers @param {Blob|null} body @param {number} from @returns {Promise<XMLHttpRequest>} */
async function put(item, method, to, headers, body, from) {
  if (body) await readable(body)
  const request = new XMLHttpRequest()
  item.request = request
  request.open(method, to)
  for (const [name, value] of Object.entries({ 'Tus-Resumable': '1.0.0', 'X-Requested-With': 'sarang', ...headers })) request.setRequestHeader(name, value)
  request.upload.addEventListener('progress', (event) => { item.sent = from + event.loaded; draw() })
  await new Promise((resolve) => { request.onloadend = resolve; request.send(body) })
  if (item.state !== 'sending') throw new DOMException('', 'AbortError')
  if (request.status >= 200 && request.status < 300) return request
  if (!request.status && body) await readable(body)
  const problem = await told(new Response(request.responseText || null, { status: request.status >= 200 ? request.status : 503, headers: { 'Retry-After': request.getResponseHeader('Retry-After') || '' } }))
  if (!request.status) throw new Problem(0)
  if (problem.status === 401 && session.me) { await signInAgain(); return put(item, method, to, headers, body, from) }
  throw problem
}

/** A file that was changed or deleted after it was chosen cannot be read any more. @param {Blob} body */
async function readable(body) {
  try {
    if (body.size) await body.slice(0, 1).arrayBuffer()
  } catch {
    const gone = new Problem(400, { code: 'unreadable' })
    throw gone
  }
}

/** Whether the very file is there already: the answer to its upload was lost, or a folder that a reload cut is chosen again. @param {Item} item */
async function isThere(item) {
  const stat = await api('GET', 'files/stat', { query: { path: item.path } }).catch(() => null)
  return stat && stat.size === item.file.size && Math.floor(stat.modified / 1000) === second(item.file)
}

/** One question at a time. @param {Item} item @returns {Promise<string>} */
function decide(item) {
  set(item, 'asking')
  const others = items.filter((one) => one !== item && isOpen(one)).length > 0
  asking = asking.then(() => forAll || conflict(base(item.path), parent(item.path), others, (choice) => { forAll = choice }))
  return asking
}

/** @param {string} path */
async function freeName(path) {
  for (let n = 2; ; n++) {
    const to = join(parent(path), numbered(base(path), n))
    if (items.some((item) => item.path === to && isOpen(item))) continue
    try { await api('GET', 'files/stat', { query: { path: to } }) } catch (error) { if (error instanceof Problem && error.status === 404) return to; throw error }
  }
}

// --- what people do with it

/** @param {Item} item */
function stop(item) {
  const at = ledger()[mark(item)]
  item.state = 'gone'
  item.request?.abort()
  item.wake?.()
  keep(item, null)
  items = items.filter((one) => one !== item)
  if (at) abort(at)
  draw()
}

/** @param {Item} item */
function pauseOne(item) {
  item.state = 'paused'
  item.request?.abort()
  item.wake?.()
  draw()
}

/** @param {Item} item */
function again(item) {
  item.state = 'waiting'
  item.why = ''
  pump()
}

function pauseAll() {
  paused = !paused
  if (paused) items.filter((item) => ['sending', 'resting'].includes(item.state)).forEach((item) => { pauseOne(item) })
  else items.filter((item) => item.state === 'paused').forEach((item) => { item.state = 'waiting' })
  pump()
  draw()
}

// --- what people see of it

/** @type {any} */ let panel = null
let small = false
let due = false
/** @type {[number, number][]} */ let pace = []

/** The panel is made once and changed in place: what is pressed stays what it is. */
function show() {
  if (!panel) {
    const el = h('section.queue-panel', { 'aria-label': t('uploads') })
    const title = h('h2', { role: 'status' })
    const pause = tool('pause', '', pauseAll)
    const retry = tool('retry', t('retry.all'), () => items.filter((item) => item.state === 'failed').forEach(again))
    const fold = tool('down', '', () => { small = !small; render() })
    const close = tool('close', '', () => { for (const item of [...items]) { if (isOpen(item)) stop(item) } items = []; forAll = ''; render() })
    const bar = h('progress', { 'aria-label': t('uploads') })
    const note = h('p.hint')
    const list = h('ul')
    const more = h('p.hint')
    fill(el, [h('header', title, pause, retry, fold, close), bar, note, list, more])
    panel = { el, title, pause, retry, fold, close, bar, note, list, more }
    setInterval(() => { if (items.some((item) => item.state === 'sending')) draw() }, 1000)
    addEventListener('beforeunload', (event) => { if (items.some(isOpen)) event.preventDefault() })
  }
  draw()
}

function draw() {
  if (due || !panel) return
  due = true
  setTimeout(() => { due = false; render() }, 150)
}

/** Gives a button that shows a picture another one, and other words. @param {any} el @param {string} picture @param {string} words */
function turn(el, picture, words) {
  if (el.title === words) return
  el.title = words
  el.setAttribute('aria-label', words)
  replace(el, icon(picture))
}

function render() {
  const { el, title, pause, retry, fold, close, bar, note, list, more } = panel
  if (!items.length) { el.remove(); return }
  if (!el.isConnected) (document.getElementById('queue') || document.body).append(el)
  const open = items.filter(isOpen)
  const bad = items.filter((item) => item.state === 'failed').length
  const finished = items.length - open.length - bad
  const all = items.reduce((sum, item) => sum + item.file.size, 0)
  const sent = items.reduce((sum, item) => sum + (['done', 'skipped'].includes(item.state) ? item.file.size : Math.min(item.sent, item.file.size)), 0)
  const now = performance.now()
  pace = [...pace.filter(([at]) => now - at < 6000), [now, sent]]
  const span = now - pace[0][0]
  const speed = span > 500 ? (sent - pace[0][1]) / span * 1000 : 0
  const words = open.length ? t('uploads.of', { n: items.length, done: finished }) : bad ? t('uploads.bad', { n: bad }) : t('uploads.done', { n: finished })
  if (title.textContent !== words) title.textContent = words
  pause.hidden = bar.hidden = note.hidden = !open.length
  retry.hidden = !bad
  turn(pause, paused ? 'play' : 'pause', t(paused ? 'resume.all' : 'pause.all'))
  turn(fold, small ? 'up' : 'down', t(small ? 'show.more' : 'show.less'))
  turn(close, 'close', t(open.length ? 'cancel.all' : 'close'))
  bar.max = Math.max(1, all)
  bar.value = sent
  note.textContent = `${t('sent', { sent: size(sent), all: size(all) })}${speed > 0 && !paused ? `, ${t('speed', { speed: size(speed) })}` : ''}`
  const busy = items.filter((item) => item.state !== 'done' && item.state !== 'waiting')
  const rows = (small ? [] : [...busy, ...items.filter((item) => item.state === 'waiting'), ...items.filter((item) => item.state === 'done').reverse()].slice(0, ROWS)).map(row)
  if (rows.length !== list.children.length || rows.some((one, n) => one !== list.children[n])) {
    const focused = list.contains(document.activeElement) ? document.activeElement : null
    list.replaceChildren(...rows)
    if (focused instanceof HTMLElement && focused.isConnected) focused.focus()
  }
  list.hidden = !rows.length
  more.hidden = small || items.length <= rows.length
  more.textContent = t('andmore', { n: items.length - rows.length })
}

/** The row of a file: another one only when something else can be done with it. @param {Item} item */
function row(item) {
  const name = base(item.path)
  if (!item.el || item.el.dataset.state !== item.state) {
    item.el = h('li', { 'data-state': item.state }, h('div', h('bdi', name), ' ', h(item.state === 'failed' ? 'span.wrong' : 'span.hint')),
      h('div.row-actions',
        ['sending', 'resting', 'waiting'].includes(item.state) && tool('pause', t('pause.one', { name }), () => pauseOne(item)),
        item.state === 'paused' && tool('play', t('resume.one', { name }), () => { paused = false; again(item) }),
        item.state === 'failed' && tool('retry', t('retry.one', { name }), () => again(item)),
        isOpen(item) || item.state === 'failed' ? tool('close', t('cancel.one', { name }), () => stop(item)) : icon(item.state === 'done' ? 'check' : 'none')),
      item.state === 'sending' && item.file.size > SMALL && h('progress', { max: item.file.size, 'aria-label': name }))
  }
  const words = { waiting: t('state.waiting'), sending: item.file.size ? `${number(Math.floor(item.sent / item.file.size * 100))}%` : '', asking: t('state.asking'), resting: item.why, paused: t('state.paused'), done: t('state.done'), skipped: t('state.skipped'), failed: item.why }[item.state] || ''
  const said = item.el.querySelector('span')
  if (said.textContent !== words) said.textContent = words
  const progress = item.el.querySelector('progress')
  if (progress) progress.value = item.sent
  return item.el
}

/** Says what a reload has cut, and takes the files that go on. */
export function remind() {
  const cut = Object.keys(ledger()).map((one) => one.split('\n'))
  if (!cut.length || items.length) return
  const input = h('input', { type: 'file', multiple: true, class: 'gone', 'aria-hidden': 'true', tabindex: '-1', onchange: () => {
    const chosen = [...input.files]
    const some = chosen.flatMap((file) => {
      const match = cut.find(([path, bytes, time]) => base(path) === file.name && Number(bytes) === file.size && Number(time) === second(file))
      return match ? [{ file, path: match[0] }] : []
    })
    box.remove()
    if (some.length) upload(some, [], parent(some[0].path))
    else remind()
  } })
  const box = h('section.queue-panel', { 'aria-label': t('uploads') }, h('header', h('h2', t('cut', { n: cut.length })), tool('close', t('close'), () => box.remove())),
    h('p', t('cut.text')), h('ul', cut.slice(0, 8).map(([path]) => h('li', h('bdi', base(path))))),
    h('p', button('upload', t('cut.choose'), () => input.click(), { class: 'primary' }), ' ', button('close', t('cut.forget'), () => { forget(); box.remove() })), input)
  ;(document.getElementById('queue') || document.body).append(box)
}

/** Gives up what was cut. */
function forget() {
  for (const at of Object.values(ledger())) abort(at)
  remember('uploads', '')
}

/** Files and folders that were dropped, with all below. @param {DataTransfer} transfer */
export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean)
  if (!entries.length) return { some: [...transfer.files].map((file) => ({ file, to: file.name })), folders: [] }
  /** @type {{ file: File, to: string }[]} */ const some = []
  /** @type {string[]} */ const folders = []
  const walk = async (/** @type {any} */ entry, /** @type {string} */ to) => {
    if (entry.isFile) return some.push({ file: await new Promise((done, fail) => entry.file(done, fail)), to })
    const reader = entry.createReader()
    let count = 0
    for (;;) {
      // A reader gives some at a time, and none at the end.
      const batch = /** @type {any[]} */ (await new Promise((done, fail) => reader.readEntries(done, fail)))
      if (!batch.length) break
      count += batch.length
      for (const one of batch) await walk(one, join(to, one.name))
    }
    if (!count) folders.push(to)
  }
  for (const entry of /** @type {any[]} */ (entries)) await walk(entry, entry.name)
  return { some, folders }
}

