// Edits a text. It is stored only over the version that was read: who comes second is told, and loses nothing.

import { h, t } from '../dom.js'
import { Problem, api, explain, numbered, parent, base, join } from '../api.js'
import { ask, button, toast } from '../ui.js'

const MOST = 4 << 20

/** @param {any} file @param {() => any} changed */
export async function edit(file, changed) {
  const response = await api('GET', 'files/content', { query: { path: file.path }, raw: true })
  if (Number(response.headers.get('Content-Length')) > MOST) return toast(t('edit.large'), { error: true })
  let etag = response.headers.get('ETag') || ''
  const bytes = new Uint8Array(await response.arrayBuffer())
  let text
  try { text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes) } catch { return toast(t('edit.binary'), { error: true }) }
  // A textarea knows one kind of line end; the file keeps its own.
  const crlf = /\r\n/.test(text)
  const area = h('textarea.editor', { value: text, spellcheck: 'false', dir: 'auto', 'aria-label': file.name })
  let path = file.path
  let saved = area.value
  const store = async () => {
    const body = crlf ? area.value.replace(/\n/g, '\r\n') : area.value
    try {
      const stat = await api('PUT', 'files/content', { query: { path }, body, headers: { 'Content-Type': 'text/plain', 'If-Match': etag } })
      etag = stat.etag
      saved = area.value
    } catch (error) {
      if (error instanceof Problem && error.status === 412) return collision(error)
      throw await explain(error, path)
    }
    toast(t('saved', { name: base(path) }))
    changed()
  }
  const collision = async (/** @type {Problem} */ error) => {
    const done = await ask({ title: t('edit.collision'), body: h('p', t('edit.collision.text', { name: base(path) })), submit: t('edit.beside'), more: button('', t('edit.over'), async (/** @type {any} */ event) => {
      etag = error.etag || etag
      event.target.closest('dialog').close()
      await store()
    }, { class: 'danger' }) })
    if (done) {
      path = join(parent(path), numbered(base(path), Math.floor(Date.now() / 1000) % 100000))
      const stat = await api('PUT', 'files/content', { query: { path, overwrite: false }, body: area.value, headers: { 'Content-Type': 'text/plain' } })
      etag = stat.etag
      saved = area.value
      toast(t('saved', { name: base(path) }))
      changed()
    }
    return ask.stay
  }
  const warn = (/** @type {Event} */ event) => { if (area.value !== saved) event.preventDefault() }
  addEventListener('beforeunload', warn)
  area.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === 's') { event.preventDefault(); area.form?.requestSubmit() }
  })
  const shown = ask({ title: file.name, body: area, submit: t('save'), wide: true, start: area, run: async () => { const what = await store(); return what ?? ask.stay } })
  const dialog = area.closest('dialog')
  dialog?.addEventListener('cancel', (/** @type {Event} */ event) => {
    if (area.value === saved) return
    event.preventDefault()
    leave()
  })
  const leave = () => ask({ title: t('edit.leave'), body: h('p', t('edit.leave.text')), submit: t('edit.discard'), danger: true }).then((yes) => { if (yes) { saved = area.value; dialog?.close() } })
  for (const close of dialog?.querySelectorAll('header .tool, footer button[type=button]') || []) {
    close.addEventListener('click', (/** @type {Event} */ event) => { if (area.value !== saved) { event.stopImmediatePropagation(); leave() } }, true)
  }
  await shown
  removeEventListener('beforeunload', warn)
}
