// What is known of a file or folder, beside the list; and its versions.

import { date, h, icon, replace, size, t } from '../dom.js'
import { address, all, api, bare, explain, locks, parent } from '../api.js'
import { ask, button, copyable, danger, failed, table, toast, tool } from '../ui.js'

/** The BLAKE3 of a file as `b3sum` writes it, where the server knows it. @param {string} path */
async function checksum(path) {
  const answer = await api('HEAD', 'files/content', { query: { path }, raw: true })
  const [, text] = /blake3=:(.+?):/.exec(answer.headers.get('Repr-Digest')) || []
  return text && [...atob(text)].map((byte) => byte.charCodeAt(0).toString(16).padStart(2, '0')).join('')
}


/** @param {any} file @param {() => void} close @param {() => any} changed */
export async function show(file, close, changed) {
  const holder = h('div')
  const el = h('aside.details', { 'aria-label': t('details.of', { name: file.name }), onkeydown: (/** @type {KeyboardEvent} */ event) => event.key === 'Escape' && close() },
    h('header', h('h2', h('bdi', file.name)), tool('close', t('close'), close)), holder)
  const [stat, hash, shares, links, open] = await Promise.all([
    api('GET', 'files/stat', { query: { path: file.path } }), !file.folder && checksum(file.path).catch(() => ''), all('shares').catch(() => []), all('links').catch(() => []), locks()])
  const mine = (/** @type {any[]} */ rows) => rows.filter((one) => bare(one.path) === file.path)
  const part = (/** @type {string} */ head, /** @type {any[]} */ rows) => rows.length > 0 && [h('h3', head), h('ul', rows)]
  replace(holder, h('dl', Object.entries({
    [t('where')]: parent(file.path) || t('view.files'),
    [t('size')]: !file.folder && size(stat.size),
    [t('modified')]: date(stat.modified),
    [t('created')]: stat.created > 0 && date(stat.created),
    [t('type')]: stat.media_type || t('folder'),
    [t('etag')]: stat.etag,
  }).flatMap(([head, value]) => (value ? [h('dt', head), h('dd', h('bdi', value))] : []))),
  hash && [h('h3', t('hash')), copyable(hash, t('hash'))],
  part(t('share.people'), mine(shares).map((share) => h('li', h('bdi', share.to.account || share.to.group), h('span.hint', t(`rights.${share.rights}`))))),
  part(t('shared.links'), mine(links).map((link) => h('li', h('span', t(`rights.${link.rights}`)), h('span.hint', t('used.n', { n: link.downloads }))))),
  part(t('locks'), mine(open).map((lock) => h('li', h('span', icon('lock'), t('openby', { who: lock.holder, when: date(lock.since) })), button('', t('lock.end'), () => api('DELETE', `locks/${lock.id}`).then(async () => el.replaceWith(await show(file, close, changed))).catch(failed))))),
  h('p.row-actions', button('share', t('share'), async () => (await import('./sharing.js')).share(file.path, file.folder)), !file.folder && button('versions', t('versions'), () => versions(file, changed))))
  return el
}

/** @param {any} file @param {() => any} changed */
export async function versions(file, changed) {
  const holder = h('div', { 'aria-busy': 'true' })
  const draw = async () => {
    const { items } = await api('GET', 'versions', { query: { path: file.path } })
    const row = (/** @type {any} */ one) => [date(one.modified), size(one.size), h('div.row-actions',
      h('a.button', { href: address('versions/content', { path: file.path, id: one.id }), download: '', 'aria-label': t('version.get', { when: date(one.modified) }) }, t('download')),
      button('', t('restore'), async () => {
        try {
          await api('POST', 'versions/restore', { body: { path: file.path, id: one.id } })
          toast(t('version.restored', { name: file.name }))
          changed()
          await draw()
        } catch (error) { failed(await explain(error, file.path)) }
      }),
      danger(t('purge'), t('purge.text', { n: 1, size: size(one.size) }), async () => { await api('DELETE', 'versions', { query: { path: file.path, id: one.id } }); await draw() }))]
    replace(holder, table(t('versions'), [t('modified'), t('size'), ''], items.map(row), t('versions.none')))
    holder.removeAttribute('aria-busy')
  }
  const shown = ask({ title: t('versions.of', { name: file.name }), body: [h('p.hint', t('versions.text')), holder], wide: true })
  await draw().catch((error) => { replace(holder, h('p.wrong', { role: 'alert' }, failed(error))) })
  return shown
}
