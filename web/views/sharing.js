// Sharing a file or folder: with people and groups, and by links.

import { date, day, h, icon, isolate, replace, t, until } from '../dom.js'
import { all, api, bare, base } from '../api.js'
import { ask, button, choice, copyable, danger, failed, field, tick, toast } from '../ui.js'
import { qr } from './qr.js'

/** What nobody guesses, and everybody can type. */
function generated() {
  const letters = 'abcdefghjkmnpqrstuvwxyz23456789'
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return [...bytes].map((byte, n) => (n && n % 4 === 0 ? '-' : '') + letters[byte % letters.length]).join('')
}

/** @param {string} path @param {boolean} folder */
export async function share(path, folder) {
  const people = h('div')
  const links = h('div')
  const draw = async () => {
    const [shares, ours] = await Promise.all([all('shares'), all('links')])
    const rows = shares.filter((one) => bare(one.path) === path)
    replace(people, rows.length ? h('ul.plain-list', rows.map((one) => h('li', h('span', icon(one.to.group ? 'people' : 'person'), ' ', h('bdi', one.to.account || one.to.group), ' ', h('span.hint', [t(`rights.${one.rights}`), one.expires && t('until', { when: day(one.expires) }), one.note && isolate(one.note)].filter(Boolean).join(', '))),
      h('span.row-actions', button('', t(one.rights === 'view' ? 'rights.allow' : 'rights.deny'), () => api('PATCH', `shares/${one.id}`, { body: { rights: one.rights === 'view' ? 'edit' : 'view' } }).then(draw, failed)), button('', t('share.end'), () => api('DELETE', `shares/${one.id}`).then(draw, failed)))))) : h('p.hint', t('share.nobody')))
    replace(links, linkList(ours.filter((one) => bare(one.path) === path), draw))
  }
  const shown = ask({ title: t('share.of', { name: base(path) || t('view.files') }), wide: true, body: [
    h('section', h('h3', t('share.people')), people, button('share', t('share.add'), () => add(path).then(draw, failed))),
    h('section', h('h3', t('shared.links')), links, h('p.row-actions', button('link', t('link.new'), () => newLink(path, folder).then(draw, failed)), folder && button('upload', t('link.request'), () => newLink(path, folder, 'drop').then(draw, failed))))] })
  draw().catch(failed)
  return shown
}

/** Links with what can be done to each. @param {any[]} rows @param {() => any} draw @param {boolean} [paths] */
export function linkList(rows, draw, paths = false) {
  if (!rows.length) return h('p.hint', t('links.none'))
  return h('ul.plain-list', rows.map((one) => h('li', h('span', icon('link'), ' ', paths && [h('bdi', bare(one.path)), ' '], h('span.hint', [t(`rights.${one.rights}`), one.has_password && t('password'), one.expires && t('until', { when: day(one.expires) }),
    one.max_downloads ? t('used.of', { n: one.downloads, all: one.max_downloads }) : t('used.n', { n: one.downloads }), one.last_used && t('lastused', { when: date(one.last_used) }), one.note && isolate(one.note)].filter(Boolean).join(', '))),
  h('span.row-actions', button('', t('change'), () => changeLink(one).then(draw, failed)), danger(t('link.end'), t('link.end.text'), () => api('DELETE', `links/${one.id}`).then(draw))))))
}

/** @param {string} path */
async function add(path) {
  const kind = choice(t('share.kind'), [['account', t('person')], ['group', t('group')]])
  const names = h('datalist', { id: 'names' })
  let typing = 0
  const soon = () => { clearTimeout(typing); typing = setTimeout(() => find().catch(() => {}), 200) }
  const name = field(t('name.file'), { required: true, autocomplete: 'off', autocapitalize: 'none', list: 'names', oninput: soon }, t('share.name.hint'))
  // Where the server tells nobody who there is, whole names are typed.
  const find = async () => {
    const search = name.input.value.trim()
    const { items } = search.length > 1 ? await api('GET', 'people', { query: { search } }) : { items: [] }
    replace(names, items.map((/** @type {any} */ one) => ({ value: one.to[kind.input.value], label: one.display_name })).filter((/** @type {any} */ one) => one.value).map((/** @type {any} */ one) => h('option', one)))
  }
  kind.input.addEventListener('change', soon)
  const rights = choice(t('rights'), [['view', t('rights.view')], ['edit', t('rights.edit')]])
  const expires = field(t('expires'), { type: 'date' })
  const note = field(t('note'), { maxlength: 200 })
  return ask({ title: t('share.add'), submit: t('share'), start: name.input, body: [kind.el, name.el, names, rights.el, expires.el, note.el], run: async () => {
    await api('POST', 'shares', { body: { path: `/${path}`, to: { [kind.input.value]: name.input.value.trim().toLowerCase() }, rights: rights.input.value, expires: until(expires.input.value), note: note.input.value || undefined } })
    toast(t('share.done', { name: name.input.value }))
  } })
}

/** @param {any} link */
function fields(link) {
  const password = field(t('password'), { autocomplete: 'off', placeholder: link?.has_password ? t('link.keep') : '' })
  password.input.after(button('', t('generate'), () => { password.input.value = generated() }))
  password.el.classList.add('with-button')
  const clear = tick(t('link.nopassword'))
  const expires = field(t('expires'), { type: 'date', value: link?.expires ? link.expires.slice(0, 10) : '' })
  const limit = field(t('link.limit'), { type: 'number', min: 1, value: link?.max_downloads || '' })
  const note = field(t('note'), { maxlength: 200, value: link?.note || '' })
  return { password, clear, expires, limit, note }
}

/** @param {string} path @param {boolean} folder @param {string} [wanted] */
async function newLink(path, folder, wanted = 'view') {
  const rights = choice(t('link.rights'), folder ? [['view', t('rights.view')], ['drop', t('rights.drop')], ['edit', t('rights.edit')]] : [['view', t('rights.view')]], wanted)
  const { password, expires, limit, note } = fields(null)
  /** @type {any} */ let made = null
  await ask({ title: wanted === 'drop' ? t('link.request') : t('link.new'), submit: t('create'), body: [rights.el, password.el, expires.el, limit.el, note.el], run: async () => {
    made = await api('POST', 'links', { body: { path, rights: rights.input.value, password: password.input.value || undefined, expires: until(expires.input.value), max_downloads: Number(limit.input.value) || undefined, note: note.input.value || undefined } })
  } })
  if (!made) return
  const url = new URL(made.url, location.origin).href
  await ask({ title: t('link.made'), body: [h('p', t('link.once')), copyable(url, t('link')), password.input.value && [h('p', t('password')), copyable(password.input.value, t('password'))], await qr(url)] })
}

/** @param {any} link */
function changeLink(link) {
  const { password, clear, expires, limit, note } = fields(link)
  return ask({ title: t('link.change'), submit: t('save'), body: [password.el, link.has_password && clear.el, expires.el, limit.el, note.el], run: () => api('PATCH', `links/${link.id}`, { body: {
    password: clear.input.checked ? null : password.input.value || undefined, expires: until(expires.input.value) ?? null, max_downloads: Number(limit.input.value) || null, note: note.input.value || null } }) })
}
