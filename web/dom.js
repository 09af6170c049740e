// Nodes, words and figures: what every view is made of. Text becomes text nodes only; nothing here parses markup.

/** Where the files of this version lie, with a slash at the end. */
export const assets = new URL('.', import.meta.url).pathname
/** What all addresses of this server begin with: the path of `server.public_url`, mostly nothing. */
export const root = assets.split('/_/')[0]
/** An address of this server in full. @param {string} path */
export const rooted = (path) => path[0] === '/' && !path.startsWith(`${root}/`) ? root + path : path

/**
 * An element: `h('button.primary', { onclick }, 'text', child)`. Objects are attributes and listeners, lists are spread,
 * `null` and `false` are nothing.
 * @param {string} spec the tag and its classes, joined by dots
 * @param {...any} parts
 * @returns {any}
 */
export function h(spec, ...parts) {
  const [tag, ...classes] = spec.split('.')
  const el = document.createElement(tag || 'div')
  if (classes.length) el.className = classes.join(' ')
  fill(el, parts)
  return el
}

/** @param {any} el @param {any[]} parts */
export function fill(el, parts) {
  for (const part of parts) {
    if (part == null || part === false) continue
    if (Array.isArray(part)) fill(el, part)
    else if (part instanceof Node) el.append(part)
    else if (typeof part === 'object') Object.entries(part).forEach(([key, value]) => put(el, key, value))
    else el.append(String(part))
  }
}

/** @param {any} el @param {string} key @param {any} value */
function put(el, key, value) {
  if (value == null) return
  if (typeof value === 'function') el.addEventListener(key.slice(2), value)
  else if (key === 'style') for (const [name, to] of Object.entries(value)) el.style.setProperty(name, String(to))
  else if (key === 'value') el.value = value
  else if (typeof value === 'boolean' && !key.startsWith('aria-')) el.toggleAttribute(key, value)
  else el.setAttribute(key, key === 'href' || key === 'src' ? rooted(value) : value)
}

/** Puts `parts` in the place of all that `el` holds. @param {any} el @param {...any} parts */
export function replace(el, ...parts) {
  el.textContent = ''
  fill(el, parts)
  return el
}

const SVG = 'http://www.w3.org/2000/svg'

/** A picture of the sprite; the words beside it say what it means. @param {string} name */
export function icon(name) {
  const svg = document.createElementNS(SVG, 'svg')
  const use = document.createElementNS(SVG, 'use')
  svg.setAttribute('class', 'icon')
  svg.setAttribute('aria-hidden', 'true')
  use.setAttribute('href', `${assets}icons.svg#${name}`)
  svg.append(use)
  return svg
}

/** A name of a file: its own direction, its end never cut off. @param {string} name */
export function named(name) {
  const dot = name.lastIndexOf('.')
  const cut = dot > 0 && name.length - dot <= 8 ? dot : name.length
  return h('bdi.name', h('span.stem', name.slice(0, cut)), cut < name.length && h('span', name.slice(cut)))
}

// --- kinds of files

const KINDS = { image: /\.(png|jpe?g|gif|webp|avif|bmp|svg|heic)$/i, video: /\.(mp4|webm|mkv|mov|m4v|ogv)$/i, audio: /\.(mp3|flac|ogg|opus|m4a|wav|aac)$/i, text: /\.(txt|md|log|csv|json|toml|ya?ml|ini|conf|xml|html?|css|m?js|rs|py|sh|c|h)$/i, pdf: /\.pdf$/i, archive: /\.(zip|tar|gz|7z|rar|zst|bz2|xz)$/i }
/** What a name says of its content. @param {string} name */
export const kindOf = (name) => Object.entries(KINDS).find(([, pattern]) => pattern.test(name))?.[0] || 'file'
export const THUMBS = /\.(png|jpe?g|gif|webp)$/i

// --- words

/** Text that stands in a sentence and keeps its direction to itself. @param {string} text */
export const isolate = (text) => `\u2068${text}\u2069`

/** Languages by their own names. */
export const languages = { en: 'English', id: 'Bahasa Indonesia', de: 'Deutsch', ko: '한국어', ar: 'العربية' }
export let language = 'en'
/** @type {Record<string, any>} */
let words = {}
/** @type {Intl.PluralRules} */ let plural
/** @type {Intl.NumberFormat} */ let numbers
/** @type {Intl.DateTimeFormat} */ let dates
/** @type {Intl.DateTimeFormat} */ let days
/** @type {Map<string, Intl.NumberFormat>} */
const units = new Map()

/** Loads the words of the language that was chosen, or that the browser asks for. */
export async function speak() {
  const wanted = [remembered('language') || '', ...navigator.languages].map((tag) => tag.slice(0, 2).toLowerCase())
  language = wanted.find((tag) => tag in languages) || 'en'
  const root = document.documentElement
  root.lang = language
  root.dir = language === 'ar' ? 'rtl' : 'ltr'
  words = await catalogue(language)
  rest = null
  plural = new Intl.PluralRules(language)
  numbers = new Intl.NumberFormat(language)
  dates = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' })
  days = new Intl.DateTimeFormat(language, { dateStyle: 'medium' })
}

/** @param {string} name */
const catalogue = async (name) => (await fetch(`${assets}locales/${name}.json`)).json()

/** @type {Promise<any>|null} */
let rest = null

/** Loads the words that the first screen does not need. */
export function moreWords() {
  rest ??= catalogue(`${language}.more`).then((more) => { words = { ...more, ...words } }).catch((error) => { rest = null; throw error })
  return rest
}

/** A part of the app that not every visit needs, and its words. @param {string} name @returns {Promise<any>} */
export const part = async (name) => (await Promise.all([import(`./views/${name}.js`), moreWords()]))[0]

/** Whether the catalogue has this key. @param {string} key */
export const has = (key) => key in words

/**
 * The words for a key. What is put in is isolated, so that a name keeps its direction to itself.
 * @param {string} key @param {Record<string, any>} [values] `n` chooses the plural
 * @returns {string}
 */
export function t(key, values = {}) {
  let text = words[key] ?? key
  if (typeof text === 'object') text = text[plural.select(values.n)] ?? text.other
  return text.replace(/\{(\w+)\}/g, (/** @type {string} */ _, /** @type {string} */ name) => {
    const value = values[name]
    return typeof value === 'number' ? numbers.format(value) : isolate(value)
  })
}

/** @param {number} n */
export const number = (n) => numbers.format(n)

/** @param {number|string} when milliseconds since 1970, or RFC 3339 */
export const date = (when) => dates.format(new Date(when))
/** @param {number|string} when */
export const day = (when) => days.format(new Date(when))
/** The end of a day that was chosen, or another time of it, as the API has it. @param {string} chosen @param {string} [time] */
export const until = (chosen, time = '23:59:59') => (chosen ? new Date(`${chosen}T${time}`).toISOString() : undefined)

/** Bytes for people. @param {number} bytes */
export function size(bytes) {
  const names = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte', 'petabyte']
  let step = 0
  while (bytes >= 999.5 && step < names.length - 1) [bytes, step] = [bytes / 1000, step + 1]
  const digits = step && bytes < 10 ? 1 : 0
  const key = names[step] + digits
  let format = units.get(key)
  if (!format) {
    const unitDisplay = step ? 'short' : 'long'
    format = new Intl.NumberFormat(language, { style: 'unit', unit: names[step], unitDisplay, maximumFractionDigits: digits })
    units.set(key, format)
  }
  return format.format(bytes)
}

// --- what the browser keeps

/** @param {string} key @returns {string|null} */
export function remembered(key) {
  try { return localStorage.getItem(key) } catch { return null }
}

/** Keeps `value`, or nothing under `key` when it is empty. @param {string} key @param {string} value */
export function remember(key, value) {
  try { value ? localStorage.setItem(key, value) : localStorage.removeItem(key) } catch { /* Kept for this page only. */ }
}
