// Signing in, making an account, setting up the server.

import { h, icon, remember, replace, rooted, t } from '../dom.js'
import { Problem, api, session } from '../api.js'
import { field, onsend, secret } from '../ui.js'
import { tongues } from '../main.js'

/** @param {any} ctx */
export default async function enter(ctx) {
  const make = { login: signIn, register, setup }[/** @type {'login'|'register'|'setup'} */ (ctx.name)]
  const { title, content } = await make(ctx)
  const globe = h('button.quiet', { type: 'button', 'aria-haspopup': 'menu', onclick: () => tongues(globe) }, icon('globe'), h('span', t('language')))
  const el = h('div.card.enter', h('div.brand', icon('logo'), h('span', 'Sarang')), h('h1', { tabindex: '-1' }, title), content, h('p.foot', globe))
  queueMicrotask(() => requestAnimationFrame(() => /** @type {any} */ (el.querySelector('input:not([type=hidden])'))?.focus()))
  return { el, title }
}

const nameField = (/** @type {any} */ more = {}) => field(t('name'), { name: 'name', required: true, autocomplete: 'username', autocapitalize: 'none', spellcheck: 'false', maxlength: 64, ...more })

/** Signs in with what the form holds; asks for the code where one is wanted. @param {any} form @param {any} code the place of the code's field */
async function logIn(form, code) {
  const body = { name: form.elements.name.value.trim(), password: form.elements.password.value, code: form.elements.code?.value.trim() || undefined }
  try {
    await api('POST', 'login', { body, quiet: true })
  } catch (error) {
    if (!(error instanceof Problem)) throw error
    if (error.code === 'code_required') {
      if (!form.elements.code) {
        const made = field(t('code'), { name: 'code', required: true, autocomplete: 'one-time-code', maxlength: 40 }, t('code.hint'))
        replace(code, made.el)
        made.input.focus()
        return false
      }
    }
    if (error.status === 401) error.extra = t(form.elements.code ? 'login.wrongcode' : 'login.wrong')
    throw error
  }
  session.me = await api('GET', 'me', { quiet: true })
  remember('in', '1')
  return true
}

/** Where to go after signing in: an address of this server. @param {string|null} to */
function local(to) {
  const url = new URL(rooted(to || '/'), location.origin)
  return url.origin === location.origin && url.pathname !== rooted('/login') ? url.pathname + url.search : rooted('/')
}

/** @param {any} ctx */
async function signIn({ query, refresh }) {
  const ways = await api('GET', 'sign-in', { quiet: true })
  const code = h('div')
  const to = local(query.get('to'))
  const form = h('form', nameField().el, secret(t('password'), { name: 'password', autocomplete: 'current-password' }).el, code,
    h('button.primary', t('login')))
  onsend(form, async () => { if (await logIn(form, code)) { history.replaceState(null, '', to); refresh() } })
  const provider = ways.openid && h('p', h('a.button', { href: `${ways.openid.start}?return=${encodeURIComponent(to)}`, onclick: () => remember('in', '1') }, t('login.by', { provider: ways.openid.name })))
  return { title: t('login'), content: [form, provider, ways.registration !== 'closed' && h('p', t('login.none'), ' ', h('a', { href: '/register' }, t('register')))] }
}

/** Who may sign in once more without losing the page. @returns {Promise<any>} */
export async function signInDialog() {
  const { ask } = await import('../ui.js')
  for (;;) {
    const code = h('div')
    const name = nameField({ value: session.me.name, readonly: true })
    const password = secret(t('password'), { name: 'password', autocomplete: 'current-password' })
    const done = await ask({ title: t('login.again'), body: [h('p', t('login.ended')), name.el, password.el, code], submit: t('login'), start: password.input, run: async () => {
      const form = password.input.form
      return (await logIn(form, code)) || ask.stay
    } })
    if (done) return
    throw new Problem(401, { code: 'unauthenticated' })
  }
}

/** @param {any} ctx */
async function register({ query, refresh }) {
  const ways = await api('GET', 'sign-in', { quiet: true })
  if (ways.registration === 'closed') return { title: t('register'), content: [h('p', t('register.closed')), h('p', h('a', { href: '/login' }, t('login')))] }
  const given = query.get('invite') || location.hash.slice(1)
  const invite = ways.registration === 'invite' && field(t('invite'), { name: 'invite', value: given, required: true, autocomplete: 'off' }, t('invite.hint'))
  const form = h('form', invite && invite.el, nameField({ pattern: '[a-z0-9][a-z0-9._\\-]*' }).el, secret(t('password'), { name: 'password', autocomplete: 'new-password', minlength: 10 }, t('password.hint')).el, h('button.primary', t('register')))
  onsend(form, async () => {
    const body = { name: form.elements.name.value.trim(), password: form.elements.password.value, invite: form.elements.invite?.value.trim() || undefined }
    await api('POST', 'register', { body, quiet: true })
    await logIn(form, h('div'))
    history.replaceState(null, '', rooted('/'))
    refresh()
  })
  return { title: t('register'), content: [form, h('p', t('register.have'), ' ', h('a', { href: '/login' }, t('login')))] }
}

/** @param {any} ctx */
async function setup({ query, refresh }) {
  const form = h('form', h('p', t('setup.text')), nameField({ pattern: '[a-z0-9][a-z0-9._\\-]*' }).el, secret(t('password'), { name: 'password', autocomplete: 'new-password', minlength: 10 }, t('password.hint')).el, h('button.primary', t('setup.make')))
  onsend(form, async () => {
    const body = { token: query.get('token') || '', name: form.elements.name.value.trim(), password: form.elements.password.value }
    await api('POST', 'setup', { body, quiet: true })
    await logIn(form, h('div'))
    history.replaceState(null, '', rooted('/'))
    refresh()
  })
  return { title: t('view.setup'), content: form }
}

