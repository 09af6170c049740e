// Takes a folder back to a moment: first what would change, then, when asked, the change.

import { date, h, replace, t } from '../dom.js'
import { api } from '../api.js'
import { button, failed, field, heading, onsend, table, toast } from '../ui.js'

export default async function rewind() {
  let path = ''
  const shown = h('output', h('bdi', t('view.files')))
  const now = new Date(Date.now() - 3600000)
  const local = new Date(now.getTime() - now.getTimezoneOffset() * 60000).toISOString().slice(0, 19)
  const when = field(t('rewind.when'), { type: 'datetime-local', step: 1, required: true, value: local }, t('rewind.hint'))
  const result = h('div', { role: 'status' })
  const folder = h('div.field', h('span', t('folder'), ': '), shown, ' ', button('folder', t('choose'), async () => {
    const { pickFolder } = await import('./picker.js')
    const to = await pickFolder(path, t('rewind.folder'), t('choose'))
    if (to == null) return
    path = to
    replace(shown, h('bdi', path || t('view.files')))
    replace(result)
  }))
  const ask = (/** @type {boolean} */ dry) => api('POST', 'rewind', { body: { path: `/${path}`, to: new Date(when.input.value).toISOString(), dry_run: dry } })
  const form = h('form', folder, when.el, h('p.hint', t('rewind.safe')), h('button.primary', { type: 'submit' }, t('rewind.look')))
  onsend(form, async () => {
    const report = await ask(true)
    const rows = report.changes.map((/** @type {any} */ one) => [t(`rewind.${one.change}`), h('bdi', one.path), one.from ? t('rewind.from', { path: one.from }) : ''])
    replace(result, h('h2', { tabindex: '-1' }, t('rewind.changes', { n: rows.length })), report.since && h('p.hint', t('rewind.since', { when: date(report.since) })),
      report.lost.length > 0 && h('p.wrong', t('rewind.lost', { n: report.lost.length }), ' ', h('bdi', report.lost.slice(0, 20).join(', '))),
      table(t('rewind.what'), [t('rewind.what'), t('name.file'), ''], rows.slice(0, 500), t('rewind.none')), rows.length > 500 && h('p.hint', t('andmore', { n: rows.length - 500 })),
      rows.length > 0 && h('p', button('rewind', t('rewind.do', { n: rows.length }), async () => {
        try {
          const done = await ask(false)
          toast(t('rewind.done', { n: done.changes.length }))
          replace(result)
        } catch (error) { failed(error) }
      }, { class: 'danger' })))
    result.querySelector('h2')?.focus()
  })
  return { title: t('view.rewind'), el: h('div.page', heading(t('view.rewind')), h('p', t('rewind.text')), form, result) }
}
