// Looks into a file: pictures, film, sound, PDF and text by the browser's own means; the rest is said and can be downloaded.

import { h, icon, kindOf, named, replace, size, t } from '../dom.js'
import { Problem, address, content, say, told } from '../api.js'
import { button, giveBack, tool } from '../ui.js'

const MOST_TEXT = 1 << 20

/** @param {any} file @param {any[]} others what the arrows go through @param {{ download: (some: any[]) => void, edit?: () => any, src?: (file: any) => string }} ways where files are, if not in the drive */
export function preview(file, others, { download, edit, src: source = (now) => content(now.path) }) {
  let at = others.findIndex((one) => one.path === file.path)
  const before = document.activeElement
  const title = h('h2')
  const stage = h('div.stage')
  const actions = h('div.row-actions')
  const el = h('dialog.viewer', { 'aria-label': t('preview'), onclose: () => { el.remove(); giveBack(before) } },
    h('header', title, actions), stage)

  /** @param {number} step */
  const move = (step) => {
    const next = at + step
    if (next < 0 || next >= others.length) return
    at = next
    show()
  }

  function show() {
    const now = others[at]
    replace(title, named(now.name))
    replace(actions,
      others.length > 1 && [tool('prev', t('previous'), () => move(-1)), tool('next', t('next'), () => move(1))],
      edit && kindOf(now.name) === 'text' && button('edit', t('edit'), async () => { el.close(); (await import('./edit.js')).edit(now, /** @type {any} */ (edit)) }),
      button('download', t('download'), () => download([now])), tool('close', t('close'), () => el.close()))
    replace(stage, picture(now))
  }

  /** @param {any} now */
  function picture(now) {
    const src = source(now)
    const broken = () => replace(stage, none(now))
    const kind = kindOf(now.name)
    if (kind === 'image') {
      const img = h('img', { src, alt: now.name, onerror: broken, onclick: () => img.classList.toggle('zoomed') })
      return img
    }
    if (kind === 'video') return h('video', { src, controls: true, onerror: broken })
    if (kind === 'audio') return h('audio', { src, controls: true, onerror: broken, 'aria-label': now.name })
    if (kind === 'pdf') return h('iframe', { src, title: now.name })
    if (edit && /\.md$/i.test(now.name)) return h('iframe', { src: address('files/markdown', { path: now.path }), title: now.name })
    if (kind === 'text') {
      const pre = h('pre', { tabindex: '0', dir: 'auto', 'aria-label': now.name, role: 'region' })
      text(src).then((got) => { pre.textContent = got.text; if (got.more) stage.append(h('p.hint', t('preview.cut', { all: size(now.size) }))) }, (error) => replace(stage, h('p.wrong', { role: 'alert' }, say(error))))
      return pre
    }
    return none(now)
  }

  const none = (/** @type {any} */ now) => h('div.empty', icon('file'), h('p', t('preview.none')), button('download', `${t('download')} (${size(now.size)})`, () => download([now]), { class: 'primary' }))

  el.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    if (event.target instanceof Element && event.target.closest('video, audio, pre')) return
    const rtl = document.documentElement.dir === 'rtl' ? -1 : 1
    if (event.key === 'ArrowLeft') move(-rtl)
    else if (event.key === 'ArrowRight') move(rtl)
    else if (event.key === '+' || event.key === '-') stage.querySelector('img')?.classList.toggle('zoomed', event.key === '+')
    else return
    event.preventDefault()
  })
  let from = 0
  stage.addEventListener('touchstart', (/** @type {TouchEvent} */ event) => { from = event.touches.length === 1 ? event.touches[0].clientX : NaN }, { passive: true })
  stage.addEventListener('touchend', (/** @type {TouchEvent} */ event) => {
    const way = event.changedTouches[0].clientX - from
    if (Math.abs(way) > 60 && !stage.querySelector('.zoomed')) move(way < 0 ? 1 : -1)
  }, { passive: true })
  document.body.append(el)
  el.showModal()
  show()
  actions.lastElementChild?.focus()
}

/** The beginning of a text. @param {string} src */
async function text(src) {
  const response = await fetch(src, { headers: { Range: `bytes=0-${MOST_TEXT - 1}` } }).catch(() => { throw new Problem(0) })
  if (response.status === 416) return { text: '', more: false }
  if (!response.ok) throw await told(response)
  const range = response.headers.get('Content-Range') || ''
  return { text: await response.text(), more: range && Number(range.split('/')[1]) > MOST_TEXT }
}
