// Makes the pages of public links better, which work without it: words of the visitor's language, previews, uploads with progress.

import { THUMBS, date, fill, h, icon, kindOf, moreWords, remember, remembered, replace, root, size, speak, t } from './dom.js'
import { button, failed } from './ui.js'

const token = location.pathname.slice(root.length).split('/')[2]
const folder = new URLSearchParams(location.search).get('path') || ''
/** What the server says in English, by the keys that it marked. */
function translate() {
  for (const el of document.querySelectorAll('[data-t]')) el.textContent = t(String(el.getAttribute('data-t')))
  for (const el of document.querySelectorAll('[data-size]')) el.textContent = size(Number(el.getAttribute('data-size')))
  for (const el of document.querySelectorAll('[data-time]')) el.textContent = date(Number(el.getAttribute('data-time')))
}

/** Files of a folder open where they are. */
function previews() {
  const links = [...document.querySelectorAll('a[data-file]')].filter((link) => kindOf(String(link.getAttribute('data-file'))) !== 'file')
  const files = links.map((link) => {
    const path = new URL(/** @type {HTMLAnchorElement} */ (link).href).searchParams.get('path') || ''
    const name = String(link.getAttribute('data-file'))
    return { name, path, size: Number(link.closest('tr')?.querySelector('[data-size]')?.getAttribute('data-size') || 0) }
  })
  const src = (/** @type {any} */ file) => `${root}/s/${token}/file?path=${encodeURIComponent(file.path)}`
  const download = (/** @type {any[]} */ some) => location.assign(`${src(some[0])}&save=true`)
  links.forEach((link, n) => link.addEventListener('click', async (event) => {
    event.preventDefault()
    const { preview } = await import('./views/preview.js')
    preview(files[n], files, { download, src })
  }))
}

/** A folder as tiles with small pictures, by itself where half of it is pictures. */
function tiles() {
  const table = document.querySelector('main table')
  const links = /** @type {HTMLAnchorElement[]} */ ([...document.querySelectorAll('main td a')])
  const pictures = links.filter((link) => THUMBS.test(link.dataset.file || ''))
  if (!table || !pictures.length) return
  for (const link of links) {
    const drawn = icon(link.dataset.file ? kindOf(link.dataset.file) : 'folder')
    link.prepend(pictures.includes(link) ? h('img', { src: `/s/${token}/thumbnail${new URL(link.href).search}`, alt: '', loading: 'lazy', onerror: (/** @type {any} */ event) => event.target.replaceWith(drawn) }) : drawn)
  }
  const show = (/** @type {boolean} */ on) => {
    table.classList.toggle('tiles', on)
    const next = button(on ? 'list' : 'tiles', t(on ? 'as.list' : 'as.tiles'), () => { remember('links', on ? 'list' : 'tiles'); show(!on).focus() })
    toggle.replaceWith(next)
    return toggle = next
  }
  let toggle = h('span')
  table.before(toggle)
  const chosen = remembered('links')
  show(chosen ? chosen === 'tiles' : pictures.length * 2 >= links.length)
}

/** Files are sent one after the other, with their progress; the form of the page stays for who has no scripts. */
function uploads() {
  const form = document.querySelector('form[enctype]')
  if (!form) return
  const action = /** @type {HTMLFormElement} */ (form).action
  const list = h('ul.plain-list', { 'aria-live': 'polite' })
  const input = h('input.gone', { type: 'file', multiple: true, 'aria-hidden': 'true', tabindex: '-1', onchange: () => send([...input.files]) })
  const box = h('div.dropbox', h('p', t('public.drop')), h('button.primary', { type: 'button', onclick: () => input.click() }, t('cut.choose')), input)
  form.replaceWith(box, list)
  let sending = 0
  let stored = 0
  addEventListener('beforeunload', (event) => { if (sending) event.preventDefault() })
  for (const type of ['dragover', 'dragleave', 'drop']) {
    addEventListener(type, (event) => { event.preventDefault(); box.classList.toggle('over', type === 'dragover') })
  }
  addEventListener('drop', (/** @type {any} */ event) => send([...(event.dataTransfer?.files || [])]))

  /** @param {File[]} files */
  async function send(files) {
    for (const file of files) {
      const bar = h('progress', { max: Math.max(1, file.size), 'aria-label': file.name })
      const state = h('span.hint')
      const row = h('li', h('bdi', file.name), state, bar)
      list.append(row)
      sending += 1
      try {
        const wrong = await one(file, (/** @type {number} */ done) => { bar.value = done })
        fill(state, [wrong || t('state.done')])
        state.className = wrong ? 'wrong' : 'okay'
        if (!wrong) stored += 1
      } catch (error) {
        failed(error)
        fill(state, [t('error.offline')])
        row.append(h('button', { type: 'button', onclick: () => { row.remove(); send([file]) } }, t('again')))
      }
      sending -= 1
      bar.remove()
    }
    if (!sending && stored && document.querySelector('table')) location.reload()
    else if (!sending && stored) replace(/** @type {any} */ (box.querySelector('p')), t('public.thanks', { n: stored }))
  }

  /** @param {File} file @param {(done: number) => void} progress @returns {Promise<string>} what the server has against it */
  async function one(file, progress) {
    const body = new FormData()
    body.append('file', file)
    const request = new XMLHttpRequest()
    request.open('POST', action)
    request.responseType = 'document'
    request.setRequestHeader('X-Requested-With', 'sarang')
    request.upload.addEventListener('progress', (event) => progress(event.loaded))
    await new Promise((done, fail) => { request.onload = done; request.onerror = () => fail(new DOMException('', 'AbortError')); request.send(body) })
    return request.response?.querySelector('.wrong')?.textContent || (request.status < 300 ? '' : t('error.other', { status: String(request.status) }))
  }
}

await speak()
await moreWords()
document.body.append(h('div', { id: 'toasts', role: 'status' }))
translate()
tiles()
previews()
uploads()
if (folder) document.title = `${document.title} – Sarang`
