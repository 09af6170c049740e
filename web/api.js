// The one way to the server: the session's cookie, the mark that forms of other sites cannot set, failures in words.

import { date, has, part, root, t } from './dom.js'

/** Who is signed in. @type {{ me: any }} */
export const session = { me: null }

/** A failure: the problem that the server told, or none of its answers (status 0). */
export class Problem extends Error {
  /** @param {number} status @param {any} [told] @param {number} [after] seconds to wait @param {string} [etag] */
  constructor(status, told, after = 0, etag = '') {
    super(told?.detail || '')
    this.status = status
    this.field = told?.errors?.[0]?.pointer || ''
    this.code = told?.code || (status ? '' : 'offline')
    this.after = after
    this.etag = etag
    this.extra = ''
  }
}

/** What only the server's own sentence tells enough about. */
const SPECIFIC = ['invalid', 'bad_name', 'bad_request', 'forbidden', 'limit_reached', 'not_copied']

/** A failure in words, with what to do. @param {any} error @returns {string} */
export function say(error) {
  if (!(error instanceof Problem)) return error?.name === 'AbortError' ? t('error.aborted') : t('error.mistake', { why: String(error?.message || error) })
  if (error.extra) return error.extra
  const key = [`error.${error.code}`, `error.${error.status}`].find(has)
  const words = t(key || 'error.other', { n: Math.max(1, error.after), status: String(error.status) })
  const told = SPECIFIC.includes(error.code) || !key
  return told && error.message ? `${words} ${error.message}` : words
}

/** @typedef {{ body?: any, query?: Record<string, any>, headers?: Record<string, string>, signal?: AbortSignal, raw?: boolean, quiet?: boolean }} Options */

/** The address of a resource. @param {string} path @param {Record<string, any>} [query] */
export function address(path, query = {}) {
  const pairs = Object.entries(query).filter(([, value]) => value != null)
  const text = pairs.flatMap(([key, value]) => [value].flat().map((one) => `${key}=${encodeURIComponent(one)}`)).join('&')
  return `${root}/api/v1/${path}${text && '?' + text}`
}

/**
 * Asks the API. Whoever is signed out meanwhile is asked to sign in, and the request goes on; `quiet` leaves that to the caller.
 * @param {string} method @param {string} path @param {Options} [options] `raw` gives the Response
 * @returns {Promise<any>}
 */
export async function api(method, path, options = {}) {
  const { body, query, signal, raw, quiet } = options
  /** @type {Record<string, string>} */
  const headers = { 'X-Requested-With': 'sarang', ...options.headers }
  const plain = typeof body === 'string' || body instanceof Blob
  if (body !== undefined && !plain) headers['Content-Type'] = 'application/json'
  for (;;) {
    let response
    try {
      response = await fetch(address(path, query), { method, headers, signal, body: plain ? body : JSON.stringify(body), credentials: 'same-origin' })
    } catch (error) {
      if (signal?.aborted) throw error
      throw new Problem(0)
    }
    if (response.ok || response.status === 304) {
      if (raw) return response
      return response.status === 204 ? null : response.json()
    }
    const problem = await told(response)
    if (problem.status !== 401 || quiet || !session.me) throw problem
    await signInAgain()
  }
}

/**
 * Asks for an answer in lines. `take` gets the rows that have come; the last line is given, which says that there are no more.
 * @param {string} path @param {Options} options @param {(rows: any[][]) => void} take @returns {Promise<any>}
 */
export async function lines(path, options, take) {
  const { body } = await api('GET', path, { ...options, headers: { Accept: 'application/x-ndjson' }, raw: true })
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  for (;;) {
    const { value } = await reader.read().catch(() => ({}))
    if (!value) throw new Problem(0)
    const parts = (text + value).split('\n')
    text = parts.pop() || ''
    const rows = parts.map((/** @type {string} */ line) => JSON.parse(line))
    const last = rows.at(-1)
    take(rows.filter(Array.isArray))
    if (last?.error) throw new Problem(last.error.status, last.error)
    if (last?.done) return last
  }
}

/** @param {Response} response */
export async function told(response) {
  const document = await response.json().catch(() => null)
  return new Problem(response.status, document, Number(response.headers.get('Retry-After')) || 0, response.headers.get('ETag') || '')
}

/** @type {Promise<any>|null} */
let again = null

/** Asks once, whoever waits for it. */
export function signInAgain() {
  again ??= part('enter').then(({ signInDialog }) => signInDialog()).finally(() => { again = null })
  return again
}

/** All items of a list, page by page. @param {string} path @param {Record<string, any>} [query] @returns {Promise<any[]>} */
export async function all(path, query = {}) {
  const items = []
  let cursor
  do {
    const page = await api('GET', path, { query: { limit: 1000, ...query, cursor } })
    items.push(...page.items)
    cursor = page.next
  } while (cursor)
  return items
}

/** The locks in one's own home. @returns {Promise<any[]>} */
export const locks = async () => (await all('locks').catch(() => [])).filter((lock) => lock.root === `home/${session.me.name}`)

/** Says who has a file open, where the server only says that it is locked. @param {any} error @param {string} path */
export async function explain(error, path) {
  if (error.code !== 'locked') return error
  const found = (await locks()).find((lock) => `${path}/`.startsWith(`${bare(lock.path)}/`))
  if (found) error.extra = t('error.lockedby', { who: found.holder, when: date(found.since) })
  return error
}

// --- paths: names joined by slashes, without one in front

/** As the server sometimes writes it, without the slash in front. @param {string} path */
export const bare = (path) => path.replace(/^\//, '')
/** @param {string} folder @param {string} name */
export const join = (folder, name) => (folder ? `${folder}/${name}` : name)
/** @param {string} path */
export const parent = (path) => path.slice(0, Math.max(0, path.lastIndexOf('/')))
/** @param {string} path */
export const base = (path) => path.slice(path.lastIndexOf('/') + 1)
/** The page of a folder. @param {string} path */
export const page = (path) => (path ? `/files/${path.split('/').map(encodeURIComponent).join('/')}` : '/')
/** The content of a file. @param {string} path */
export const content = (path) => address('files/content', { path })
/** `name` with a number before its extension. @param {string} name @param {number} n */
export function numbered(name, n) {
  const dot = name.lastIndexOf('.')
  return dot > 0 ? `${name.slice(0, dot)} (${n})${name.slice(dot)}` : `${name} (${n})`
}
