// Administration: how the server is, accounts, groups, invites, team folders, what everybody shares, locks, and who did what.

import { date, day, h, has, number, replace, root, size, t, until } from '../dom.js'
import { address, all, api, say } from '../api.js'
import { ask, button, choice, confirm, copyable, danger, failed, field, heading, menu, save, secret, table, tick } from '../ui.js'

/** @type {Record<string, (again: () => any) => Promise<any>>} */
const TABS = { overview, accounts, groups, invites, teams, shares, links, removed, locks, audit }

/** @param {any} ctx */
export default async function admin({ path }) {
  const tab = path in TABS ? path : 'overview'
  const holder = h('div')
  const draw = () => TABS[tab](again).then((content) => replace(holder, content))
  const again = () => draw().catch(failed)
  await draw()
  return { title: t('view.admin'), el: h('div.page', heading(t('view.admin')), h('nav.tabs', { 'aria-label': t('view.admin') }, Object.keys(TABS).map((name) => h('a', { href: name === 'overview' ? '/admin' : `/admin/${name}`, 'aria-current': name === tab ? 'page' : null }, t(`admin.${name}`)))), holder) }
}

const GB = 1e9
const quota = (/** @type {any} */ value) => field(t('quota.gb'), { type: 'number', min: 0, step: 'any', value: value == null ? '' : value / GB }, t('quota.hint'))
const bytes = (/** @type {any} */ made) => (made.input.value === '' ? null : Math.round(Number(made.input.value) * GB))

async function overview() {
  const it = await api('GET', 'overview')
  const days = Math.floor(it.uptime / 86400)
  const figures = { version: it.version, uptime: days ? t('days', { n: days }) : t('minutes', { n: Math.floor(it.uptime / 60) }), accounts: number(it.accounts), sessions: it.sessions == null ? null : number(it.sessions), used: size(it.used), free: size(it.free), locks: number(it.locks), connections: number(it.connections), requests: number(it.requests), exported: it.exported ? date(it.exported) : null }
  const list = (/** @type {string} */ key, /** @type {any[]|undefined} */ some) => some?.length && [h('p.wrong', t(`overview.${key}`)), h('ul', some.map((one) => h('li', h('bdi', typeof one === 'string' ? one : `${one.root} (${date(one.until)})`))))]
  return [!it.writable && h('p.wrong', { role: 'alert' }, t('overview.readonly')), list('missing', it.missing), list('held', it.held), list('proxies', it.untrusted_proxies),
    h('dl.figures', Object.entries(figures).map(([key, value]) => value != null && h('div', h('dt', t(`figure.${key}`)), h('dd', value))))]
}

/** @param {() => any} again */
async function accounts(again) {
  const items = await all('accounts', { usage: true })
  const add = () => {
    const name = field(t('name'), { required: true, maxlength: 64, autocapitalize: 'none', autocomplete: 'off' })
    const word = secret(t('password'), { autocomplete: 'new-password', minlength: 10 }, t('password.hint'))
    const role = choice(t('role'), [['user', t('role.user')], ['admin', t('role.admin')]])
    const limit = quota(null)
    return ask({ title: t('account.new'), submit: t('create'), body: [name.el, word.el, role.el, limit.el], run: () => api('POST', 'accounts', { body: { name: name.input.value.trim(), password: word.input.value, role: role.input.value, ...(limit.input.value === '' ? {} : { quota: bytes(limit) }) } }) }).then(again)
  }
  const actions = (/** @type {any} */ one, /** @type {any} */ at) => {
    const to = `accounts/${encodeURIComponent(one.name)}`
    const patch = (/** @type {any} */ body) => api('PATCH', to, { body }).then(again, failed)
    menu(at, [
      { label: t('quota.change'), icon: 'edit', run: () => { const limit = quota(one.quota); ask({ title: t('quota.change'), submit: t('save'), body: limit.el, run: () => api('PATCH', to, { body: { quota: bytes(limit) } }) }).then(again) } },
      { label: t('password.set'), icon: 'lock', run: () => { const word = secret(t('password.new'), { autocomplete: 'new-password', minlength: 10 }, t('password.hint')); ask({ title: t('password.set'), submit: t('save'), body: word.el, run: () => api('PUT', `${to}/password`, { body: { password: word.input.value } }) }) } },
      { label: t('email'), icon: 'edit', run: () => { const mail = field(t('email'), { type: 'email', value: one.email || '' }); ask({ title: t('email'), submit: t('save'), body: mail.el, run: () => api('PUT', `${to}/email`, { body: { email: mail.input.value || null } }) }).then(again) } },
      { label: t('twofactor.off'), icon: 'close', run: () => confirm(t('twofactor.off'), t('account.twofactor', { name: one.name }), () => api('DELETE', `${to}/two-factor`)) },
      { label: t(one.role === 'admin' ? 'role.make.user' : 'role.make.admin'), icon: 'admin', run: () => patch({ role: one.role === 'admin' ? 'user' : 'admin' }) },
      { label: t(one.disabled ? 'account.enable' : 'account.disable'), icon: 'pause', run: () => patch({ disabled: !one.disabled }) },
      null,
      { label: t('account.remove'), icon: 'trash', danger: true, run: () => {
        const files = choice(t('account.files'), ['keep', 'transfer', 'purge'].map((way) => [way, t(`account.${way}`)]))
        const heir = choice(t('account.heir'), items.filter((other) => other.name !== one.name).map((other) => [other.name, other.name]))
        heir.el.hidden = true
        files.input.addEventListener('change', () => { heir.el.hidden = files.input.value !== 'transfer' })
        ask({ title: t('account.remove'), danger: true, submit: t('account.remove'), body: [h('p', t('account.remove.text', { name: one.name })), files.el, heir.el], run: () => api('DELETE', to, { query: { files: files.input.value, to: files.input.value === 'transfer' ? heir.input.value : undefined } }) }).then(again)
      } },
    ], t('actions.of', { name: one.name }))
  }
  return [h('p', button('plus', t('account.new'), add)), table(t('admin.accounts'), [t('name'), t('role'), t('figure.used'), t('quota'), t('created'), ''], items.map((one) => [[h('bdi', one.name), one.disabled && h('p.hint', t('account.disabled'))], t(`role.${one.role}`), one.used == null ? '–' : size(one.used), one.quota == null ? '∞' : size(one.quota), day(one.created),
    button('more', t('actions'), (/** @type {any} */ event) => actions(one, event.currentTarget), { 'aria-haspopup': 'menu', 'aria-label': t('actions.of', { name: one.name }) })]), '')]
}

const names = (/** @type {any} */ made) => made.input.value.split(/[\s,]+/).filter(Boolean)

/** @param {() => any} again */
async function groups(again) {
  const items = await all('groups')
  const edit = (/** @type {any} */ one) => {
    const name = field(t('name'), { required: true, value: one?.name || '', readonly: !!one, autocapitalize: 'none' })
    const members = field(t('members'), { value: (one?.members || []).join(', '), autocapitalize: 'none' }, t('members.hint'))
    return ask({ title: t(one ? 'group.change' : 'group.new'), submit: t('save'), body: [name.el, members.el], run: () => (one ? api('PATCH', `groups/${encodeURIComponent(one.name)}`, { body: { members: names(members) } }) : api('POST', 'groups', { body: { name: name.input.value.trim(), members: names(members) } })) }).then(again)
  }
  return [h('p', button('plus', t('group.new'), () => edit(null))), table(t('admin.groups'), [t('name'), t('members'), ''], items.map((one) => [h('bdi', one.name), one.members.join(', ') || '–', h('div.row-actions', button('', t('change'), () => edit(one)), danger(t('remove'), t('group.remove', { name: one.name }), () => api('DELETE', `groups/${encodeURIComponent(one.name)}`).then(again)))]), t('none'))]
}

/** @param {() => any} again */
async function invites(again) {
  const items = await all('invites')
  const add = async () => {
    const note = field(t('note'), { maxlength: 200 })
    const limit = quota(null)
    const list = field(t('admin.groups'), {}, t('members.hint'))
    const expires = field(t('expires'), { type: 'date' }, t('invite.week'))
    /** @type {any} */ let made = null
    await ask({ title: t('invite.new'), submit: t('create'), body: [note.el, limit.el, list.el, expires.el], run: async () => {
      made = await api('POST', 'invites', { body: { note: note.input.value || undefined, quota: bytes(limit) ?? undefined, groups: names(list), expires: until(expires.input.value) } })
    } })
    if (made) await ask({ title: t('invite.new'), body: [h('p', t('invite.once')), copyable(`${location.origin}${root}/register#${made.invite}`, t('invite'))] })
    again()
  }
  return [h('p', button('plus', t('invite.new'), () => add().catch(failed))), table(t('admin.invites'), [t('note'), t('by'), t('quota'), t('expires'), ''], items.map((one) => [one.note || '–', h('bdi', one.by), one.quota == null ? '–' : size(one.quota), day(one.expires), button('', t('invite.end'), () => api('DELETE', `invites/${one.id}`).then(again, failed))]), t('none'))]
}

/** @param {() => any} again */
async function teams(again) {
  const items = await all('team-folders')
  const edit = (/** @type {any} */ one) => {
    const name = field(t('name.file'), { required: true, value: one?.name || '', readonly: !!one })
    const write = (/** @type {string} */ rights) => (one?.members || []).filter((/** @type {any} */ member) => member.rights === rights).map((/** @type {any} */ member) => (member.to.group ? `@${member.to.group}` : member.to.account)).join(', ')
    const editors = field(t('team.editors'), { value: write('edit'), autocapitalize: 'none' }, t('team.hint'))
    const viewers = field(t('team.viewers'), { value: write('view'), autocapitalize: 'none' })
    const limit = quota(one?.quota)
    const read = (/** @type {any} */ made, /** @type {string} */ rights) => names(made).map((/** @type {string} */ who) => ({ to: who.startsWith('@') ? { group: who.slice(1) } : { account: who }, rights }))
    return ask({ title: t(one ? 'team.change' : 'team.new'), submit: t('save'), body: [name.el, editors.el, viewers.el, limit.el], run: () => {
      const body = { members: [...read(editors, 'edit'), ...read(viewers, 'view')], quota: bytes(limit) }
      return one ? api('PATCH', `team-folders/${encodeURIComponent(one.name)}`, { body }) : api('POST', 'team-folders', { body: { name: name.input.value, ...body } })
    } }).then(again)
  }
  const remove = (/** @type {any} */ one) => {
    const purge = tick(t('team.purge'))
    return ask({ title: t('remove'), danger: true, submit: t('remove'), body: [h('p', t('team.remove', { name: one.name })), purge.el], run: () => api('DELETE', `team-folders/${encodeURIComponent(one.name)}`, { query: purge.input.checked ? { purge: true } : {} }) }).then(again)
  }
  return [h('p', button('plus', t('team.new'), () => edit(null))), table(t('admin.teams'), [t('name.file'), t('members'), t('quota'), ''], items.map((one) => [h('bdi', one.name), one.members.map((/** @type {any} */ member) => `${member.to.account || member.to.group} (${t(`rights.${member.rights}`)})`).join(', ') || '–', one.quota == null ? '∞' : size(one.quota), h('div.row-actions', button('', t('change'), () => edit(one)), button('', t('remove'), () => remove(one), { class: 'danger' }))]), t('none'))]
}

/** @param {() => any} again */
async function removed(again) {
  const items = await all('removed-files')
  const restore = (/** @type {any} */ one) => {
    const way = choice(t('removed.as'), ['home', 'folder', 'team'].map((key) => [key, t(`removed.${key}`)]), one.kind === 'team' ? 'team' : 'home')
    const name = field(t('name'), { required: true, value: one.name })
    return ask({ title: t('restore'), submit: t('restore'), body: [way.el, name.el], run: () => api('POST', `removed-files/${one.id}/restore`, { body: { to: { [way.input.value]: name.input.value.trim() } } }) }).then(again)
  }
  return table(t('admin.removed'), [t('name.file'), t('removed.at'), ''], items.map((one) => [h('bdi', one.place), date(one.removed), h('div.row-actions', button('', t('restore'), () => restore(one)), danger(t('purge'), t('removed.purge', { name: one.place }), () => api('DELETE', `removed-files/${one.id}`).then(again)))]), t('none'))
}

/** @param {() => any} again */
async function locks(again) {
  const items = await all('locks')
  return table(t('admin.locks'), [t('name.file'), t('state'), t('until.head'), ''], items.map((one) => [h('bdi', one.path), t('openby', { who: one.holder, when: date(one.since) }), date(one.until), danger(t('lock.end'), t('lock.end.text', { who: one.holder }), () => api('DELETE', `locks/${one.id}`).then(again))]), t('none'))
}

/** A list of any length as a table, page by page. @param {string} path @param {() => Record<string, any>} query @param {string} label @param {string[]} heads @param {(row: any) => any[]} cells */
function paged(path, query, label, heads, cells) {
  const el = h('div')
  /** @type {any[]} */ let rows = []
  const draw = async (/** @type {string} */ cursor = '') => {
    const page = await api('GET', path, { query: { ...query(), limit: 100, cursor: cursor || undefined } })
    rows = cursor ? [...rows, ...page.items] : page.items
    replace(el, table(label, heads, rows.map(cells), t('none')), page.next && h('p', button('down', t('show.more'), () => draw(page.next).catch(failed))))
  }
  return { el, draw }
}

/** What somebody shares, with what ends it. @param {string} what @param {string} label @param {string} how @param {string[]} heads @param {(one: any) => any[]} cells @param {() => any} again */
async function shared(what, label, how, heads, cells, again) {
  const list = paged(`admin/${what}`, () => ({}), label, [t('name.file'), t('owner'), ...heads, t('rights'), t('expires'), ''], (one) => [h('bdi', one.path), h('bdi', one.owner), ...cells(one), t(`rights.${one.rights}`), one.expires ? day(one.expires) : '–',
    danger(t(how), t('admin.end.text', { path: one.path, name: one.owner }), () => api('DELETE', `admin/${what}/${one.id}`).then(again))])
  await list.draw()
  return list.el
}

/** @param {() => any} again */
async function shares(again) {
  return shared('shares', t('admin.shares'), 'share.end', [t('shared.to')], (one) => [h('bdi', one.to.account || one.to.group)], again)
}

/** @param {() => any} again */
async function links(again) {
  return shared('links', t('admin.links'), 'link.end', [t('lastuse')], (one) => [one.last_used ? date(one.last_used) : t('never')], again)
}

async function audit() {
  const account = field(t('view.account'), { autocapitalize: 'none' })
  const kind = field(t('audit.kind'), { autocapitalize: 'none', placeholder: 'sign-in-failed' })
  const from = field(t('audit.from'), { type: 'date' })
  const to = field(t('audit.to'), { type: 'date' })
  const query = () => ({ account: account.input.value.trim() || undefined, kind: kind.input.value.trim() || undefined, from: until(from.input.value, '00:00'), to: until(to.input.value) })
  const list = paged('audit', query, t('admin.audit'), [t('audit.at'), t('audit.who'), t('audit.kind'), t('audit.target'), t('audit.outcome')], (one) => [date(one.at), [h('bdi', one.who || one.by), one.from && h('p.hint', one.from)], [one.kind, one.count > 1 && ` ×${number(one.count)}`], [h('bdi', one.target), one.note && h('p.hint', one.note)], has(`outcome.${one.outcome}`) ? t(`outcome.${one.outcome}`) : one.outcome])
  const form = h('form.filters', account.el, kind.el, from.el, to.el, h('button', { type: 'submit' }, t('filter.do')))
  form.addEventListener('submit', (/** @type {Event} */ event) => { event.preventDefault(); list.draw().catch((error) => replace(list.el, h('p.wrong', { role: 'alert' }, say(error)))) })
  await list.draw()
  const get = (/** @type {string} */ format) => button('download', t(`audit.${format}`), () => save(address('audit/export', { ...query(), format: format === 'csv' ? 'csv' : undefined })))
  return [form, h('p.row-actions', get('csv'), get('jsonl')), list.el]
}

