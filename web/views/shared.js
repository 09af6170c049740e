// What is shared: with this account, by it, and by links.

import { day, h, icon, replace, t } from '../dom.js'
import { all, api, bare, base, page, parent } from '../api.js'
import { button, confirm, failed, heading, line, table } from '../ui.js'

/** Leads to a folder, or to the one of a file. @param {any} one @param {string} name */
const link = ({ folder, path }, name) => h('a', { href: page(folder ? bare(path) : parent(bare(path))) }, icon(folder ? 'folder' : 'file'), ' ', h('bdi', name))

/** @param {any} ctx */
export default async function shared({ path }) {
  const tab = ['by', 'links'].includes(path) ? path : 'with'
  const holder = h('div')
  const draw = async () => replace(holder, await { with: incoming, by: outgoing, links }[/** @type {'by'} */ (tab)](() => draw().catch(failed)))
  await draw()
  return { title: t('view.shared'), el: h('div.page', heading(t('view.shared')), h('nav.tabs', { 'aria-label': t('view.shared') }, [['with', ''], ['by', '/by'], ['links', '/links']].map(([name, to]) => h('a', { href: `/shared${to}`, 'aria-current': name === tab ? 'page' : null }, t(`shared.${name}`)))), holder) }
}

/** @param {() => any} draw */
async function incoming(draw) {
  const items = await all('shares/incoming')
  return table(t('shared.with'), [t('name.file'), t('owner'), t('rights'), t('expires'), ''], items.map((one) => [
    link(one, base(one.path)), h('bdi', one.owner), t(`rights.${one.rights}`), one.expires ? day(one.expires) : '–',
    h('div.row-actions', button('', t('rename'), () => line(t('rename'), t('name.new'), base(one.path), t('rename'), (name) => api('PATCH', `shares/${one.id}`, { body: { name } }).then(draw))),
      button('', t('share.leave'), () => confirm(t('share.leave'), t('share.leave.text', { name: base(one.path) }), () => api('DELETE', `shares/${one.id}`).then(draw))))]), t('shared.with.none'))
}

/** @param {() => any} draw */
async function outgoing(draw) {
  const items = await all('shares')
  return table(t('shared.by'), [t('name.file'), t('shared.to'), t('rights'), t('expires'), ''], items.map((one) => [
    link(one, bare(one.path)), h('span', icon(one.to.group ? 'people' : 'person'), ' ', h('bdi', one.to.account || one.to.group)), t(`rights.${one.rights}`), one.expires ? day(one.expires) : '–',
    h('div.row-actions', button('', t('change'), async () => (await import('./sharing.js')).share(bare(one.path), one.folder).then(draw)), button('', t('share.end'), () => api('DELETE', `shares/${one.id}`).then(draw, failed)))]), t('shared.by.none'))
}

/** @param {() => any} draw */
async function links(draw) {
  const { linkList } = await import('./sharing.js')
  return linkList(await all('links'), draw, true)
}
