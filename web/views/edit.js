// Edits a text. It is stored only over the version that was read: who comes second sees what the other has changed, chooses, and
// loses nothing.

import { h, t } from '../dom.js'
import { Problem, api, explain, numbered, parent, base, join } from '../api.js'
import { ask, button, table, toast } from '../ui.js'
import { differences } from './diff.js'

const MOST = 4 << 20
/** So many pieces of a difference are shown, and so many lines of each. */
const PIECES = 100
const LINES = 40

/** @typedef {{ etag: string, text: string, why?: string }} Stored a text, or the key of why it is none */

/** What is stored under a path. @param {string} path @returns {Promise<Stored>} */
async function read(path) {
  const response = await api('GET', 'files/content', { query: { path }, raw: true })
  const found = { etag: response.headers.get('ETag'), text: '' }
  if (Number(response.headers.get('Content-Length')) > MOST) {
    response.body.cancel()
    return { ...found, why: 'edit.large' }
  }
  try { return { ...found, text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(await response.arrayBuffer()) } } catch { return { ...found, why: 'edit.binary' } }
}

/**
 * Asks what becomes of a text that somebody else has changed meanwhile.
 * @param {string} name @param {string} mine @param {Stored} theirs
 * @returns {Promise<string|null>} `copy`, `mine`, `theirs`, or nothing
 */
async function merge(name, mine, theirs) {
  const pieces = theirs.why ? [] : differences(mine, theirs.text.replace(/\r\n?/g, '\n'))
  const lines = (/** @type {string[]} */ some) => h('pre', { dir: 'auto' }, some.slice(0, LINES).join('\n'), some.length > LINES && '\n…')
  const rows = pieces.slice(0, PIECES).map((piece) => [piece.line, lines(piece.one), lines(piece.other)])
  const ways = ['copy', 'mine', 'theirs'].filter((way) => way !== 'theirs' || !theirs.why)
  const choices = ways.map((value, n) => h('label.tick', h('input', { type: 'radio', name: 'choice', value, checked: !n }), h('span', t(`edit.${value}`))))
  const box = h('div.diff', theirs.why ? h('p', t(theirs.why)) : table(t('edit.changed'), [t('edit.line'), t('edit.yours'), t('edit.other')], rows, t('edit.same')),
    pieces.length > PIECES && h('p.hint', t('andmore', { n: pieces.length - PIECES })))
  const title = t('edit.collision')
  return ask({ title, wide: true, submit: t('goon'), body: [h('p', t('edit.collision.text', { name })), h('div.choices', { role: 'radiogroup', 'aria-label': title }, choices), box],
    start: choices[0].firstChild, run: () => choices.map((label) => label.firstChild).find((input) => input.checked).value })
}

/** @param {any} file @param {() => any} changed */
export async function edit(file, changed) {
  let path = file.path
  let { etag, text, why } = await read(path)
  if (why) return toast(t(why), { error: true })
  // A textarea knows one kind of line end; the file keeps its own.
  let crlf = /\r\n/.test(text)
  const area = h('textarea.editor', { value: text, spellcheck: 'false', dir: 'auto', 'aria-label': file.name })
  let saved = area.value

  /** Stores over the version that is known, or as a new file where none is. */
  const put = async () => {
    const value = area.value
    const body = crlf ? value.replace(/\n/g, '\r\n') : value
    const stat = await api('PUT', 'files/content', { query: { path, overwrite: etag ? null : false }, body, headers: { 'Content-Type': 'text/plain', ...(etag ? { 'If-Match': etag } : {}) } })
    etag = stat.etag
    saved = value
  }
  const store = async () => {
    const first = path
    for (let copies = 0; ;) {
      try {
        await put()
        break
      } catch (error) {
        if (!(error instanceof Problem) || copies > 100 || error.status !== 412 && error.code !== 'exists') throw await explain(error, path)
        const theirs = copies ? null : await read(path).catch(gone)
        const way = theirs && await merge(base(path), area.value, theirs)
        if (!theirs || way === 'copy') {
          path = join(parent(first), numbered(base(first), ++copies + 1))
          etag = ''
        } else if (way === 'mine') etag = theirs.etag
        else {
          if (way) take(theirs)
          return ask.stay
        }
      }
    }
    toast(t('saved', { name: base(path) }))
    if (dialog) dialog.querySelector('h2').textContent = area.ariaLabel = base(path)
    changed()
    return ask.stay
  }
  /** Shows what the other has stored; a button changes it for what was typed, and back. @param {Stored} theirs */
  const take = (theirs) => {
    etag = theirs.etag
    crlf = /\r\n/.test(theirs.text)
    other = theirs.text
    swap()
    saved = area.value
    swapping.hidden = false
    area.focus()
  }
  let other = ''
  const swap = () => { [other, area.value] = [area.value, other] }
  const swapping = button('retry', t('edit.swap'), swap, { hidden: true })

  const warn = (/** @type {Event} */ event) => { if (area.value !== saved) event.preventDefault() }
  addEventListener('beforeunload', warn)
  area.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === 's') { event.preventDefault(); area.form?.requestSubmit() }
  })
  const shown = ask({ title: file.name, body: area, submit: t('save'), more: swapping, wide: true, start: area, run: store })
  const dialog = area.closest('dialog')
  dialog.addEventListener('cancel', (/** @type {Event} */ event) => {
    if (area.value === saved) return
    event.preventDefault()
    leave()
  })
  const leave = () => ask({ title: t('edit.leave'), body: h('p', t('edit.leave.text')), submit: t('edit.discard'), danger: true }).then((yes) => { if (yes) { saved = area.value; dialog.close() } })
  for (const close of dialog.querySelectorAll('header .tool, footer button[type=button]')) {
    close.addEventListener('click', (/** @type {Event} */ event) => { if (close !== swapping && area.value !== saved) { event.stopImmediatePropagation(); leave() } }, true)
  }
  await shown
  removeEventListener('beforeunload', warn)
}

/** What stands for a file that was deleted meanwhile. @param {any} error */
function gone(error) {
  if (error.status !== 404) throw error
  return { etag: '', text: '', why: 'error.not_found' }
}
