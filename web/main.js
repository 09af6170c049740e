// The shell: who is signed in, which view an address shows, what stands around it.

import { h, has, icon, languages, part, remember, remembered, replace, root, rooted, size, speak, t } from './dom.js'
import { Problem, api, say, session } from './api.js'
import { menu, toast, undoLast } from './ui.js'

/** @typedef {{ el: HTMLElement, title?: string, leave?: () => void, go?: (path: string) => boolean }} View */

/**
 * First part of an address, the module that shows it. Those with a word stand in the navigation, under this picture.
 * @type {Record<string, { module: string, icon?: string, open?: boolean }>}
 */
const ROUTES = {
  files: { module: 'files', icon: 'folder' },
  shared: { module: 'shared', icon: 'share' },
  trash: { module: 'trash', icon: 'trash' },
  connect: { module: 'connect', icon: 'connect' },
  rewind: { module: 'rewind', icon: 'rewind' },
  account: { module: 'account', icon: 'person' },
  admin: { module: 'admin', icon: 'admin' },
  login: { module: 'enter', open: true },
  register: { module: 'enter', open: true },
  setup: { module: 'enter', open: true },
}

/** @type {View|null} */ let view = null
let shown = ''
/** @type {any} */ let main
let turn = 0

/** Goes to an address of the app. @param {string} to @param {boolean} [instead] takes the place of the present one in the history @returns {Promise<any>} */
export function go(to, instead = false) {
  history[instead ? 'replaceState' : 'pushState'](null, '', rooted(to))
  return show()
}

/** @returns {Promise<any>} */
async function show() {
  const [, first, ...rest] = location.pathname.slice(root.length).split('/')
  const name = first || 'files'
  const route = ROUTES[name]
  if (!route) return
  if (!session.me && !route.open) return go(`/login?to=${encodeURIComponent(location.pathname + location.search)}`, true)
  const path = rest.filter(Boolean).map(decode).join('/')
  if (shown === name && view?.go?.(path)) return title()
  const mine = ++turn
  frame(name, !!route.open)
  main.setAttribute('aria-busy', 'true')
  let next
  try {
    const module = await (route.module === 'files' ? import('./views/files.js') : part(route.module))
    next = await module.default({ path, name, go, refresh: start, query: new URLSearchParams(location.search) })
  } catch (error) {
    // A module of a version that is gone: the page is loaded anew, once.
    if (!(error instanceof Problem) && /import|module/i.test(String(error)) && remembered('reloaded') !== location.href) {
      remember('reloaded', location.href)
      return location.reload()
    }
    console.warn(error)
    next = { el: h('div.page', h('h1', { tabindex: '-1' }, t('error.title')), h('p.wrong', { role: 'alert' }, say(error)), h('button', { type: 'button', onclick: show }, t('again'))) }
  }
  if (mine !== turn) return next.leave?.()
  remember('reloaded', '')
  view?.leave?.()
  const arrived = shown !== ''
  view = next
  shown = name
  replace(main, next.el)
  main.removeAttribute('aria-busy')
  title()
  if (arrived && !main.contains(document.activeElement)) (main.querySelector('h1[tabindex]') || main).focus({ preventScroll: true })
}

/** @param {string} text */
function decode(text) {
  try { return decodeURIComponent(text) } catch { return text }
}

function title() {
  const name = view?.title || t(`view.${shown}`)
  document.title = name === 'Sarang' ? name : `${name} – Sarang`
}

let framed = ''

/** What stands around the views; nothing but the view where nobody is signed in. @param {string} name @param {boolean} bare */
function frame(name, bare) {
  const key = `${bare}${session.me?.name}`
  if (framed !== key) {
    framed = key
    main = h('main', { id: 'main', tabindex: '-1' })
    const toasts = h('div', { id: 'toasts', role: 'status', 'aria-live': 'polite' })
    if (bare) replace(document.body, main, toasts)
    else replace(document.body, h('a.skip', { href: '#main', onclick: (/** @type {Event} */ event) => { event.preventDefault(); main.focus() } }, t('skip')), top(), rail(), main, toasts)
    document.body.className = bare ? 'bare' : 'framed'
  }
  for (const link of document.querySelectorAll('nav.rail a')) {
    if (link.getAttribute('data-name') === name) link.setAttribute('aria-current', 'page')
    else link.removeAttribute('aria-current')
  }
  const more = document.querySelector('nav.rail .more')
  more?.classList.toggle('here', ['rewind', 'account', 'admin'].includes(name))
}

function top() {
  const who = session.me.display_name || session.me.name
  const account = h('button.who', { type: 'button', 'aria-haspopup': 'menu', onclick: () => menu(account, [
    { label: t('view.account'), icon: 'person', href: '/account' },
    { label: t('theme'), icon: 'theme', run: () => themes(account) },
    { label: t('language'), icon: 'globe', run: () => tongues(account) },
    { label: t('keys'), icon: 'keys', run: async () => (await part('help')).keys() },
    null,
    { label: t('signout'), icon: 'out', run: signOut },
  ], t('view.account')) }, h('span.badge', { 'aria-hidden': 'true' }, [...who][0].toUpperCase()), h('bdi', who), h('span.gone', t('view.account')))
  return h('header.top', h('a.brand', { href: '/' }, icon('logo'), h('span', 'Sarang')), h('div', { id: 'queue' }), account)
}

function rail() {
  const link = (/** @type {string} */ name) => h('a', { href: name === 'files' ? '/' : `/${name}`, 'data-name': name, class: ['rewind', 'account', 'admin'].includes(name) ? 'wide' : null },
    icon(ROUTES[name].icon || name), h('span', t(`view.${name}`)))
  const names = ['files', 'shared', 'trash', 'connect', 'rewind', 'account']
  if (session.me.role === 'admin') names.push('admin')
  const more = h('button.more', { type: 'button', 'aria-haspopup': 'menu', onclick: () => menu(more, [
    { label: t('view.rewind'), icon: 'rewind', href: '/rewind' },
    { label: t('view.account'), icon: 'person', href: '/account' },
    session.me.role === 'admin' && { label: t('view.admin'), icon: 'admin', href: '/admin' },
  ], t('more')) }, icon('more'), h('span', t('more')))
  return h('nav.rail', { 'aria-label': t('navigation') }, names.map(link), more, h('div.quota', { id: 'quota' }, quota()))
}

/** How full the drive is. */
export function quota() {
  const { used, available, quota: limit } = session.me
  const whole = limit ?? used + available
  const words = t(limit == null ? 'quota.free' : 'quota.used', { used: size(used), all: size(limit ?? available) })
  return [h('span', words), limit != null && h('progress', { max: Math.max(1, whole), value: used, 'aria-label': t('quota') })]
}

/** Asks anew who this is and how full the drive is. */
export async function refreshMe() {
  session.me = await api('GET', 'me')
  const el = document.getElementById('quota')
  if (el) replace(el, ...quota())
}

export function applyTheme() {
  const theme = remembered('theme')
  document.documentElement.dataset.theme = theme || ''
}

/** @param {any} at */
function themes(at) {
  const now = remembered('theme') || ''
  menu(at, ['', 'light', 'dark', 'contrast'].map((theme) => ({ label: t(`theme.${theme || 'auto'}`), icon: 'theme', checked: theme === now, run: () => { remember('theme', theme); applyTheme() } })), t('theme'))
}

/** @param {any} at */
export function tongues(at) {
  const now = document.documentElement.lang
  menu(at, Object.entries(languages).map(([tag, name]) => ({ label: name, icon: 'globe', checked: tag === now, run: async () => {
    remember('language', tag)
    await speak()
    start()
  } })), t('language'))
}

async function signOut() {
  try { await api('POST', 'logout', { quiet: true }) } catch { /* It had ended. */ }
  remember('in', '')
  location.assign(rooted('/login'))
}

/** Builds everything anew: another account, another language. */
export function start() {
  framed = ''
  shown = ''
  return show()
}

/** @param {MouseEvent} event */
function follow(event) {
  const link = event.target instanceof Element && event.target.closest('a')
  if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
  if (link.target || link.hasAttribute('download') || link.origin !== location.origin || !link.pathname.startsWith(`${root}/`) || !((link.pathname.slice(root.length + 1).split('/')[0] || 'files') in ROUTES)) return
  event.preventDefault()
  if (link.href !== location.href) go(link.href)
}

async function boot() {
  applyTheme()
  await speak()
  // Set-up is a form of the server; when it is over, the page says so by itself.
  if (location.pathname === rooted('/setup') && !document.querySelector('form')) return
  addEventListener('popstate', show)
  addEventListener('click', follow)
  addEventListener('keydown', (event) => {
    const typing = event.target instanceof Element && event.target.closest('input, textarea, select')
    if ((event.ctrlKey || event.metaKey) && event.key === 'z' && !typing) { event.preventDefault(); undoLast() }
    if (event.key === '?' && !typing && remembered('keys') !== 'off') part('help').then(({ keys }) => keys())
  })
  addEventListener('online', () => toast(t('online')))
  addEventListener('offline', () => toast(t('error.offline'), { error: true }))
  if (remembered('in')) {
    try {
      session.me = await api('GET', 'me')
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) {
        return replace(document.body, h('main.plain', h('h1', t('error.title')), h('p.wrong', { role: 'alert' }, say(error)), h('button', { type: 'button', onclick: () => location.reload() }, t('again'))))
      }
      remember('in', '')
    }
  }
  await show()
}

// Without its words the app says so in the one sentence that is not in the catalogue.
boot().catch((error) => { if (!has('error.title')) document.body.append(`Sarang: ${error}`); else throw error })
