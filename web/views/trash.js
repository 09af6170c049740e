// The trash: what was deleted, to be restored or deleted for good.

import { date, h, icon, named, size, t } from '../dom.js'
import { all, api, bare, base, parent } from '../api.js'
import { button, confirm, failed, heading, menu, toast } from '../ui.js'
import { grid } from '../list.js'
import { refreshMe } from '../main.js'

export default async function trash() {
  /** @type {any[]} */ let items = []
  const list = grid({
    label: t('view.trash'),
    columns: [['name', t('name.file')], ['size', t('size')], ['time', t('deleted.at')]],
    key: (item) => item.id,
    name: (item) => base(item.path),
    cells: (item) => [h('a', { href: '/trash', tabindex: '-1' }, icon(item.kind === 'folder' ? 'folder' : 'file'), named(base(item.path)), h('bdi.where', parent(item.path).slice(1) || t('view.files'))), size(item.size), item.deleted ? date(item.deleted) : ''],
    open: (item) => actions([item], document.activeElement),
    menu: actions,
    changed: () => bar(),
    keys: (event) => { if (event.key === 'Delete') { purge(list.aim()); return true } },
  })
  const tools = h('div.tools')
  const empty = h('p.empty', t('trash.empty'))

  async function load() {
    items = await all('trash')
    items.forEach((item) => { item.path = `/${bare(item.path)}` })
    list.set(items)
    list.el.hidden = !items.length
    empty.hidden = items.length > 0
  }

  /** @param {any[]} some @param {any} at */
  function actions(some, at) {
    menu(at, [{ label: t('restore'), icon: 'retry', run: () => restore(some) }, { label: t('purge'), icon: 'trash', danger: true, run: () => purge(some) }], t('actions'))
  }

  function bar() {
    const n = list.count()
    tools.textContent = ''
    tools.append(...(n ? [button('close', t('selected', { n }), () => { list.clear(); list.focus() }, { class: 'quiet' }), button('retry', t('restore'), () => restore(list.chosen())), button('trash', t('purge'), () => purge(list.chosen()), { class: 'danger' })]
      : items.length ? [button('trash', t('trash.clear'), clear, { class: 'danger' })] : []))
  }

  /** @param {any[]} some */
  async function restore(some) {
    try {
      let to = ''
      for (const item of some) to = (await api('POST', `trash/${encodeURIComponent(item.id)}/restore`, { body: {} })).path
      list.clear()
      await load()
      bar()
      toast(some.length === 1 ? t('restored.to', { path: to }) : t('restored', { n: some.length }))
      refreshMe()
    } catch (error) { failed(error); load().catch(failed) }
  }

  /** @param {any[]} some */
  const purge = (some) => some.length && wipe(t('purge'), some, async () => {
    for (const item of some) await api('DELETE', `trash/${encodeURIComponent(item.id)}`)
  })

  const clear = () => wipe(t('trash.clear'), items, () => api('DELETE', 'trash'))

  /** @param {string} words @param {any[]} some @param {() => Promise<any>} run */
  function wipe(words, some, run) {
    confirm(words, t('purge.text', { n: some.length, size: size(some.reduce((sum, item) => sum + item.size, 0)) }), async () => {
      await run()
      list.clear()
      await load()
      bar()
    })
  }

  await load()
  bar()
  return { title: t('view.trash'), el: h('div.files', h('div.bar', heading(t('view.trash'))), tools, h('div.pane', list.el, empty)), leave: list.leave }
}
