// From "how do I connect this?" to one copy and one paste: the visitor's system first, an app password made in place.

import { date, h, icon, language, number, remember, replace, root, t } from '../dom.js'
import { all, api, session } from '../api.js'
import { code, copyable, failed, field, heading, save } from '../ui.js'
import { qr } from './qr.js'

const SYSTEMS = { windows: 'Windows', macos: 'macOS', gnome: 'GNOME', kde: 'KDE', davfs: 'davfs2', rclone: 'rclone', android: 'Android', ios: 'iPhone, iPad' }

/** What the browser says it runs on. */
function guess() {
  const agent = navigator.userAgent
  if (/Android/.test(agent)) return 'android'
  if (/iPhone|iPad/.test(agent) || /Mac/.test(agent) && navigator.maxTouchPoints > 1) return 'ios'
  if (/Windows/.test(agent)) return 'windows'
  return /Mac/.test(agent) ? 'macos' : /KDE|Plasma/i.test(agent) ? 'kde' : 'gnome'
}

/** @param {any} ctx */
export default async function connect({ query }) {
  const asked = query.get('system') || ''
  let system = asked in SYSTEMS ? asked : guess()
  const user = session.me.name
  const address = `${location.origin}${root}/dav/`
  const plain = location.protocol === 'http:'
  const dav = address.replace(/^http/, 'dav')
  /** The password as it stands in instructions, once it is made. */
  let password = ''
  let timer = 0

  const holder = h('div')
  const tabs = h('div.tabs', { role: 'tablist', 'aria-label': t('connect.system') })
  const panel = h('div', { role: 'tabpanel', id: 'system', tabindex: '0' })
  const drawTabs = () => replace(tabs, Object.entries(SYSTEMS).map(([key, name]) => h('button', { type: 'button', role: 'tab', id: `tab-${key}`, 'aria-controls': 'system', 'aria-selected': String(key === system), tabindex: key === system ? '0' : '-1', onclick: () => pick(key) }, name)))
  tabs.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    const keys = Object.keys(SYSTEMS)
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (!step) return
    const next = keys[(keys.indexOf(system) + step * (document.documentElement.dir === 'rtl' ? -1 : 1) + keys.length) % keys.length]
    pick(next)
    document.getElementById(`tab-${next}`)?.focus()
  })
  /** @param {string} key */
  function pick(key) {
    system = key
    drawTabs()
    draw()
  }

  const steps = (/** @type {string} */ key, /** @type {number} */ n, /** @type {Record<string, string>} */ values = {}) => h('ol.steps', [...Array(n).keys()].map((at) => h('li', t(`connect.${key}.${at + 1}`, values))), h('li', t('connect.give')))
  const secretWord = () => password || t('connect.placeholder')

  function draw() {
    panel.setAttribute('aria-labelledby', `tab-${system}`)
    const text = {
      windows: () => [plain && h('p.wrong', t('connect.windows.http')), steps('windows', 3), h('p.hint', t('connect.windows.limit')), h('h3', t('connect.windows.script')), h('p', t('connect.windows.what')),
        code(`net use * "${address.replace(/\/$/, '')}" /user:${user} /persistent:yes`, t('connect.command')),
        h('p', h('button', { type: 'button', onclick: script }, icon('download'), h('span', t('connect.windows.get'))))],
      macos: () => steps('macos', 3),
      gnome: () => [steps('gnome', 2, { address: dav }), copyable(dav, t('address'))],
      kde: () => [steps('kde', 2), copyable(dav.replace(/^dav/, 'webdav'), t('address'))],
      davfs: () => [h('p', t('connect.davfs.1')), code(`sudo apt install davfs2\nsudo mkdir -p /mnt/sarang\necho '${address} ${user} ${secretWord()}' | sudo tee -a /etc/davfs2/secrets`, t('connect.command')),
        h('p', t('connect.davfs.2')), code(`${address} /mnt/sarang davfs user,uid=1000,noauto,_netdev 0 0`, '/etc/fstab'),
        h('p', t('connect.davfs.3')), code(`[Unit]\nDescription=Sarang\nAfter=network-online.target\nWants=network-online.target\n\n[Mount]\nWhat=${address}\nWhere=/mnt/sarang\nType=davfs\nOptions=uid=1000,_netdev\n\n[Install]\nWantedBy=multi-user.target\n`, '/etc/systemd/system/mnt-sarang.mount')],
      rclone: () => [h('p', t('connect.rclone.1')), code(`rclone config create sarang webdav url=${address} vendor=other user=${user} pass=${secretWord()}`, t('connect.command')), h('p', t('connect.rclone.2')), code('rclone mount sarang: ~/Sarang --vfs-cache-mode writes', t('connect.command'))],
      android: () => [steps('android', 2), copyable(address, t('address'))],
      ios: () => [steps('ios', 2), copyable(address, t('address'))],
    }[/** @type {'ios'} */ (system)]
    replace(panel, text())
  }

  /** A script that maps the drive, and says what it does. */
  function script() {
    const lines = ['@echo off', `rem ${t('connect.windows.what')}`, `echo ${address}`, 'sc query WebClient | find "RUNNING" >nul || net start WebClient', `net use * "${address.replace(/\/$/, '')}" /user:${user} /persistent:yes`, 'pause', '']
    save(`data:application/octet-stream,${encodeURIComponent(lines.join('\r\n'))}`, 'sarang.cmd')
  }

  const device = field(t('device'), { value: SYSTEMS[/** @type {'ios'} */ (system)], required: true, maxlength: 100 }, t('connect.device.hint'))
  const make = h('form', device.el, h('button.primary', { type: 'submit' }, t('connect.make')))
  make.addEventListener('submit', async (/** @type {Event} */ event) => {
    event.preventDefault()
    try {
      const made = await api('POST', 'app-passwords', { body: { name: device.input.value } })
      password = made.password
      const state = h('p', { role: 'status' }, t('connect.waiting'))
      replace(holder, h('p', t('connect.user')), copyable(user, t('name')), h('p', t('connect.once')), copyable(password, t('apppassword')), state)
      draw()
      wait(made.id, state)
    } catch (error) { failed(error) }
  })

  const troubles = h('section')
  /** Why devices failed lately, in the server's words. */
  const look = () => api('GET', 'me/failures', { headers: { 'Accept-Language': language } }).then(({ items }) => items[0] && replace(troubles, h('h2', t('connect.failed')), h('ul', items.map((/** @type {any} */ one) => h('li', date(one.at), ', ', h('bdi', one.device || one.client), one.count > 1 && ` ×${number(one.count)}`, ': ', one.path && [h('bdi', one.path), ' – '], one.cause, h('p.hint', one.remedy))))), () => {})

  /** Looks whether the device has come. @param {string} id @param {any} state */
  function wait(id, state) {
    timer = window.setInterval(async () => {
      if (document.hidden) return
      look()
      const found = (await all('app-passwords').catch(() => [])).find((one) => one.id === id)
      if (!found?.last_use) return
      clearInterval(timer)
      remember('connected', '1')
      replace(state, h('span.okay', icon('check'), t('connect.done', { device: found.name })))
    }, 3000)
  }

  look()
  replace(holder, h('p', t('connect.why')), make)
  drawTabs()
  draw()
  const code2 = h('div')
  qr(`${location.origin}${root}/connect`).then((picture) => picture && replace(code2, h('h2', t('connect.phone')), picture, h('p.hint', t('connect.qr'))))
  return {
    title: t('view.connect'),
    el: h('div.page', heading(t('view.connect')), h('p', t('connect.text')), h('section', h('h2', t('connect.step1')), copyable(address, t('address'))),
      h('section', h('h2', t('connect.step2')), holder), h('section', h('h2', t('connect.step3')), tabs, panel), troubles, h('section', code2)),
    leave: () => clearInterval(timer),
  }
}

