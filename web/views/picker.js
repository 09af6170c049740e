// Picks a folder of the drive: where something moves or is copied to.

import { h, icon, replace, t } from '../dom.js'
import { all, api, join, parent, say } from '../api.js'
import { ask, button, line } from '../ui.js'

/** The names of the folders in a folder. @param {string} path @returns {Promise<string[]>} */
export async function folders(path) {
  const rows = await all('files', { path, limit: 10000 })
  const names = rows.filter((row) => row[1] === 'folder').map((row) => row[0])
  return names.sort(new Intl.Collator(undefined, { numeric: true }).compare)
}

/** @param {string} from where it begins @param {string} title @param {string} submit @returns {Promise<string|null>} */
export function pickFolder(from, title, submit) {
  let path = from
  const where = h('p', { role: 'status' })
  const tree = h('div.tree', { role: 'group', 'aria-label': t('folders') })

  /** @param {string} to @param {boolean} [focus] */
  async function go(to, focus = true) {
    path = to
    replace(where, t('picker.to'), ' ', h('strong', h('bdi', to || t('view.files'))))
    try {
      const names = await folders(path)
      replace(tree, path && h('button', { type: 'button', onclick: () => go(parent(path)) }, icon('up'), t('up')),
        names.map((name) => h('button', { type: 'button', onclick: () => go(join(path, name)) }, icon('folder'), h('bdi', name))),
        !names.length && h('p.empty', t('picker.none')))
    } catch (error) {
      replace(tree, h('p.wrong', { role: 'alert' }, say(error)), path && button('up', t('up'), () => go(parent(path))))
    }
    if (focus) tree.querySelector('button')?.focus()
  }
  const make = button('newfolder', t('newfolder'), () => line(t('newfolder'), t('name.file'), t('newfolder'), t('create'), async (name) => {
    await api('POST', 'files/folder', { body: { path: join(path, name) } })
    await go(join(path, name), false)
  }), { class: 'start' })
  go(path)
  return ask({ title, submit, body: [where, tree], more: make, run: () => ({ path }) }).then((done) => done && done.path)
}

