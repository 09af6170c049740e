// The account: profile, password, second factor, sessions, app passwords.

import { date, day, h, icon, replace, rooted, t, until } from '../dom.js'
import { all, api, session } from '../api.js'
import { ask, button, choice, copyable, danger, failed, field, heading, onsend, secret, table, toast } from '../ui.js'
import { refreshMe, start } from '../main.js'
import { qr } from './qr.js'

export default async function account() {
  const parts = [profile(), password(), twoFactor(), appPasswords(), sessions(), provider()]
  return { title: t('view.account'), el: h('div.page', heading(t('view.account')), await Promise.all(parts)) }
}

const section = (/** @type {string} */ title, /** @type {any[]} */ ...parts) => h('section', h('h2', title), parts)
const present = () => secret(t('password.present'), { autocomplete: 'current-password' })

/** Says of the present password that it is wrong, where it is. @param {any} error @returns {never} */
function proved(error) {
  if (['/old', '/password'].includes(error.field)) error.extra = t('password.wrong')
  throw error
}

function profile() {
  const { me } = session
  const display = field(t('displayname'), { value: me.display_name || '', maxlength: 100, autocomplete: 'name' })
  const email = field(t('email'), { value: me.email || '', type: 'email', maxlength: 254, autocomplete: 'email' }, me.email ? t(me.email_source ? 'email.known' : 'email.claimed') : '')
  const form = h('form', h('p', t('account.is', { name: me.name }), me.groups.length > 0 && [' ', t('account.groups', { groups: me.groups.join(', ') })]), display.el, email.el, h('button', { type: 'submit' }, t('save')))
  onsend(form, async () => {
    /** @type {any} */ const body = { display_name: display.input.value.trim() || null }
    const mail = email.input.value.trim() || null
    if (mail !== (me.email || null)) {
      const proof = present()
      const done = await ask({ title: t('email'), body: [h('p', t('email.proof')), proof.el], submit: t('save'), run: async () => { session.me = await api('PATCH', 'me', { body: { ...body, email: mail, password: proof.input.value } }).catch(proved) } })
      if (!done) return
    } else session.me = await api('PATCH', 'me', { body })
    toast(t('saved.n'))
    start()
  })
  return section(t('profile'), form)
}

function password() {
  const old = present()
  const next = secret(t('password.new'), { autocomplete: 'new-password', minlength: 10 }, t('password.hint'))
  const form = h('form', h('input.gone', { autocomplete: 'username', value: session.me.name, readonly: true, tabindex: '-1', 'aria-hidden': 'true' }), h('p.hint', t('password.ends')), old.el, next.el, h('button', { type: 'submit' }, t('password.change')))
  onsend(form, async () => {
    await api('PUT', 'me/password', { body: { old: old.input.value, new: next.input.value }, quiet: true }).catch(proved)
    form.reset()
    toast(t('password.changed'))
  })
  return section(t('password'), form)
}

function twoFactor() {
  const on = session.me.two_factor
  const again = async () => { await refreshMe(); start() }
  const begin = async () => {
    const proof = present()
    /** @type {any} */ let made = null
    await ask({ title: t('twofactor'), body: [h('p', t('twofactor.proof')), proof.el], submit: t('goon'), run: async () => { made = await api('POST', 'me/two-factor', { body: { password: proof.input.value }, quiet: true }).catch(proved) } })
    if (!made) return
    const code = field(t('code'), { required: true, inputmode: 'numeric', autocomplete: 'one-time-code', maxlength: 10 }, t('twofactor.code'))
    /** @type {any} */ let codes = null
    await ask({ title: t('twofactor'), body: [h('p', t('twofactor.scan')), await qr(made.uri), h('p', t('twofactor.type')), copyable(made.secret, t('twofactor.secret')), code.el], submit: t('twofactor.confirm'), run: async () => {
      codes = (await api('POST', 'me/two-factor/confirm', { body: { code: code.input.value.replace(/\s/g, '') }, quiet: true })).recovery_codes
    } })
    if (!codes) return
    await ask({ title: t('recovery'), body: [h('p', t('recovery.text')), h('ul.codes', { dir: 'ltr' }, codes.map((/** @type {string} */ one) => h('li', one))), copyable(codes.join(' '), t('recovery'))] })
    await again()
  }
  const end = async () => {
    const proof = present()
    if (await ask({ title: t('twofactor.off'), body: [h('p', t('twofactor.off.text')), proof.el], submit: t('twofactor.off'), danger: true, run: () => api('DELETE', 'me/two-factor', { body: { password: proof.input.value }, quiet: true }).catch(proved) })) await again()
  }
  return section(t('twofactor'), h('p', on ? h('span.okay', icon('check'), t('twofactor.is')) : t('twofactor.text')), button(on ? 'close' : 'lock', t(on ? 'twofactor.off' : 'twofactor.on'), () => (on ? end() : begin()).catch(failed)))
}

async function appPasswords() {
  const holder = h('div')
  const draw = async () => {
    const items = await all('app-passwords')
    replace(holder, table(t('apppasswords'), [t('device'), t('folder'), t('rights'), t('lastuse'), t('expires'), ''], items.map((one) => [h('bdi', one.name), h('bdi', one.scope), t(`rights.${one.rights}`), one.last_use ? [date(one.last_use.at), h('p.hint', one.last_use.address)] : t('never'), one.expires ? day(one.expires) : '–',
      danger(t('revoke'), t('revoke.text', { name: one.name }), () => api('DELETE', `app-passwords/${one.id}`).then(draw))]), t('apppasswords.none')))
  }
  const add = async () => {
    const name = field(t('device'), { required: true, maxlength: 100 })
    const scope = field(t('folder'), { placeholder: '/' }, t('apppassword.scope.hint'))
    const rights = choice(t('rights'), [['edit', t('rights.edit')], ['view', t('rights.view')]])
    const expires = field(t('expires'), { type: 'date' })
    /** @type {any} */ let made = null
    await ask({ title: t('apppassword.new'), submit: t('create'), body: [name.el, scope.el, rights.el, expires.el], run: async () => {
      made = await api('POST', 'app-passwords', { body: { name: name.input.value, scope: scope.input.value || undefined, rights: rights.input.value, expires: until(expires.input.value) } })
    } })
    if (!made) return
    await ask({ title: t('apppassword.new'), body: [h('p', t('connect.once')), copyable(made.password, t('apppassword'))] })
    await draw()
  }
  await draw()
  return section(t('apppasswords'), h('p.hint', t('apppasswords.text')), holder, button('plus', t('apppassword.new'), () => add().catch(failed)))
}

async function sessions() {
  const holder = h('div')
  const draw = async () => {
    const items = await all('sessions')
    replace(holder, table(t('sessions'), [t('device'), t('address'), t('lastuse'), ''], items.map((one) => [[h('bdi', agent(one.agent)), one.current && h('p.hint', t('session.this'))], one.address, date(one.used), !one.current && button('', t('session.end'), () => api('DELETE', `sessions/${one.id}`).then(draw, failed))]), ''),
    items.length > 1 && h('p', button('out', t('sessions.end'), () => api('DELETE', 'sessions').then(draw, failed))))
  }
  await draw()
  return section(t('sessions'), holder)
}

/** Browser and system of a user agent, the rest of it is noise. @param {string} text */
function agent(text) {
  const browser = /(Edg|OPR|Firefox|Chrome|Safari|curl)[/ ]([\d]+)/.exec(text)
  const system = /(Windows|Android|iPhone|iPad|Mac OS X|Linux)/.exec(text)
  return browser ? [browser[1].replace('Edg', 'Edge').replace('OPR', 'Opera'), browser[2], system && `(${system[1]})`].filter(Boolean).join(' ') : text.slice(0, 60)
}

async function provider() {
  const ways = await api('GET', 'sign-in')
  if (!ways.openid) return null
  const items = await all('me/openid')
  const proof = async (/** @type {(password: string) => Promise<any>} */ run) => {
    const field = present()
    return ask({ title: ways.openid.name, body: field.el, submit: t('goon'), run: () => run(field.input.value) })
  }
  return section(t('provider', { name: ways.openid.name }), items.length
    ? [h('p', t('provider.is')), button('close', t('provider.unlink'), () => proof((password) => api('DELETE', 'me/openid', { body: { password } })).then((done) => done && start()))]
    : button('link', t('provider.link'), () => proof(async (password) => location.assign((await api('POST', 'me/openid', { body: { password, return: rooted('/account') } })).location))))
}
