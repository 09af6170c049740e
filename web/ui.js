// Dialogs, menus, messages and form fields. Dialogs are the browser's own: they keep the focus and close by Escape.

import { h, icon, t } from './dom.js'
import { say } from './api.js'

let count = 0

/** The focus goes back where it was; where that is gone, to the row of the list whose turn it is. @param {any} before */
export function giveBack(before) {
  const there = before?.isConnected && before !== document.body
  ;(there ? before : document.querySelector('.scroll [tabindex="0"]') || document.getElementById('main'))?.focus()
}

/** A labelled field. @param {string} label @param {any} attrs of the input @param {string} [hint] */
export function field(label, attrs, hint) {
  const id = `f${++count}`
  const input = h('input', { id, ...attrs, 'aria-describedby': hint ? `${id}h` : null })
  return { input, el: h('div.field', h('label', { for: id }, label), input, hint && h('p.hint', { id: `${id}h` }, hint)) }
}

/** A choice. @param {string} label @param {[string, string][]} options values and words @param {string} [value] */
export function choice(label, options, value) {
  const id = `f${++count}`
  const input = h('select', { id }, options.map(([key, words]) => h('option', { value: key, selected: key === value }, words)))
  return { input, el: h('div.field', h('label', { for: id }, label), input) }
}

/** A box to tick. @param {string} label @param {boolean} [on] */
export function tick(label, on = false) {
  const input = h('input', { type: 'checkbox', checked: on })
  return { input, el: h('label.tick', input, label) }
}

/** A password with a button that shows it. @param {string} label @param {any} attrs @param {string} [hint] */
export function secret(label, attrs, hint) {
  const made = field(label, { type: 'password', required: true, ...attrs }, hint)
  const show = h('button.quiet', { type: 'button', 'aria-pressed': 'false', onclick: () => {
    const shown = made.input.type === 'password'
    made.input.type = shown ? 'text' : 'password'
    show.setAttribute('aria-pressed', String(shown))
  } }, t('show'))
  made.input.after(show)
  made.el.classList.add('with-button')
  return made
}

/** A button with a picture and words. @param {string} picture @param {string} words @param {any} onclick @param {any} [attrs] */
export const button = (picture, words, onclick, attrs = {}) =>
  h(`button${attrs.class ? '.' + attrs.class : ''}`, { type: 'button', ...attrs, class: null, onclick }, picture && icon(picture), h('span', words))

/** A button that shows a picture only; its words are its name. @param {string} picture @param {string} words @param {any} onclick */
export const tool = (picture, words, onclick) => h('button.tool', { type: 'button', title: words, 'aria-label': words, onclick }, icon(picture))

/** Runs `work` when a form is sent: once at a time, a failure as text in the form. @param {any} form @param {() => Promise<any>} work */
export function onsend(form, work) {
  const wrong = h('p.wrong', { role: 'alert' })
  form.prepend(wrong)
  form.addEventListener('submit', async (/** @type {Event} */ event) => {
    event.preventDefault()
    if (form.getAttribute('aria-busy')) return
    form.setAttribute('aria-busy', 'true')
    wrong.textContent = ''
    try {
      await work()
    } catch (error) {
      wrong.textContent = say(error)
      wrong.scrollIntoView({ block: 'nearest' })
    } finally {
      form.removeAttribute('aria-busy')
    }
  })
}

/**
 * A dialog. Resolves with what `run` gives, or null when it is closed; a failure of `run` is shown and the dialog stays.
 * @param {{ title: string, body?: any, submit?: string, danger?: boolean, run?: () => any, more?: any, wide?: boolean, start?: any, close?: string }} spec
 * @returns {Promise<any>}
 */
export function ask({ title, body, submit, danger, run, more, wide, start, close }) {
  return new Promise((resolve) => {
    const id = `d${++count}`
    const before = document.activeElement
    /** @type {any} */ let result = null
    const form = h('form', { method: 'dialog' },
      h('header', h('h2', { id }, title), tool('close', t('close'), () => el.close())),
      h('div.body', body),
      h('footer', more, h('button', { type: 'button', onclick: () => el.close() }, close || (submit ? t('cancel') : t('close'))),
        submit && h(danger ? 'button.danger' : 'button.primary', { type: 'submit' }, submit)))
    const el = h(`dialog${wide ? '.wide' : ''}`, { 'aria-labelledby': id, onclose: () => {
      el.remove()
      giveBack(before)
      resolve(result)
    } }, form)
    onsend(form, async () => {
      result = run ? (await run()) ?? true : true
      if (result !== ask.stay) el.close()
    })
    document.body.append(el)
    el.showModal()
    if (start) { start.focus(); start.select?.() }
  })
}
/** What `run` returns to keep its dialog open. */
ask.stay = {}

/** Asks before something that cannot be undone. @param {string} title what is done @param {string} text @param {() => any} run */
export const confirm = (title, text, run) => ask({ title, body: h('p', text), submit: title, danger: true, run })

/** A button for such a thing, which asks first. @param {string} words @param {string} text @param {() => any} run */
export const danger = (words, text, run) => button('', words, () => confirm(words, text, run), { class: 'danger' })

/** Asks for one line. @param {string} title @param {string} label @param {string} value @param {string} submit @param {(text: string) => any} run */
export function line(title, label, value, submit, run) {
  const { el, input } = field(label, { value, required: true, maxlength: 255, autocomplete: 'off', spellcheck: 'false', dir: 'auto' })
  const made = ask({ title, body: el, submit, run: () => run(input.value), start: input })
  const dot = value.lastIndexOf('.')
  input.setSelectionRange(0, dot > 0 ? dot : value.length)
  return made
}

/** @typedef {{ label: string, icon?: string, run?: () => any, href?: string, danger?: boolean, checked?: boolean } | null | false} Item */

/** @type {(() => void)|null} */
let closeMenu = null

/** A menu beside an element or at a point; null is a line between. @param {any} at @param {Item[]} items @param {string} label */
export function menu(at, items, label) {
  closeMenu?.()
  const before = document.activeElement
  const entry = (/** @type {any} */ item) => {
    const parts = [{ role: item.checked == null ? 'menuitem' : 'menuitemradio', 'aria-checked': item.checked == null ? null : String(item.checked), tabindex: '-1' },
      icon(item.checked ? 'check' : item.icon || 'none'), h('span', item.label)]
    if (item.href) return h('a', { href: item.href, onclick: () => close() }, parts)
    return h(item.danger ? 'button.danger' : 'button', { type: 'button', onclick: () => { close(); item.run() } }, parts)
  }
  const el = h('div.menu', { role: 'menu', 'aria-label': label }, items.filter((item) => item !== false).map((item) => (item ? entry(item) : h('hr', { role: 'separator' }))))
  const entries = [...el.querySelectorAll('[role^=menuitem]')]
  const close = (back = true) => {
    closeMenu = null
    el.remove()
    removeEventListener('pointerdown', outside, true)
    if (at instanceof HTMLElement) at.removeAttribute('aria-expanded')
    if (back) giveBack(before)
  }
  const outside = (/** @type {any} */ event) => { if (!el.contains(event.target)) close(false) }
  el.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    const index = entries.indexOf(document.activeElement)
    const to = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: entries.length - 1 }[event.key]
    if (to != null) entries[(to + entries.length) % entries.length].focus()
    else if (event.key === 'Escape' || event.key === 'Tab') close()
    else return
    event.preventDefault()
    event.stopPropagation()
  })
  closeMenu = () => close(false)
  const home = [...document.querySelectorAll('dialog[open]')].pop() || document.getElementById('main') || document.body
  home.append(el)
  if (at instanceof HTMLElement) at.setAttribute('aria-expanded', 'true')
  place(el, at)
  addEventListener('pointerdown', outside, true)
  entries[0]?.focus()
}

/** @param {any} el @param {any} at */
function place(el, at) {
  const box = at instanceof HTMLElement ? at.getBoundingClientRect() : { left: at.x, right: at.x, top: at.y, bottom: at.y }
  const rtl = document.documentElement.dir === 'rtl'
  const { offsetWidth: width, offsetHeight: height } = el
  const left = rtl || box.left + width > innerWidth - 8 ? box.right - width : box.left
  const below = box.bottom + height < innerHeight - 8 || box.top < height
  el.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`
  el.style.top = `${Math.max(8, below ? Math.min(box.bottom, innerHeight - height - 8) : box.top - height)}px`
}

/** @type {(() => any)|null} */
let lastUndo = null

/** Undoes what the last message offers to. */
export function undoLast() {
  lastUndo?.()
}

/** A message; with something to do it stays until it is closed. @param {string} text @param {{ undo?: () => any, action?: [string, () => any], error?: boolean }} [more] */
export function toast(text, { undo, action, error } = {}) {
  const home = document.getElementById('toasts')
  if (!home) return
  const run = undo || action?.[1]
  const act = async () => {
    if (lastUndo === act) lastUndo = null
    el.remove()
    try { await run?.() } catch (why) { failed(why) }
  }
  const el = h(error ? 'div.toast.error' : 'div.toast', { role: error ? 'alert' : null }, h('span', text),
    run && h('button', { type: 'button', onclick: act }, undo ? t('undo') : action?.[0]), tool('close', t('close'), () => el.remove()))
  if (undo) lastUndo = act
  home.append(el)
  while (home.children.length > 4) home.firstElementChild?.remove()
  if (!run && !error) setTimeout(() => el.remove(), 6000)
}

/** A failure as a message. @param {any} error */
export const failed = (error) => toast(say(error), { error: true })

/** A button that copies what `area` holds, also where the clipboard is not for pages. @param {any} area */
function copier(area) {
  const copy = h('button', { type: 'button', onclick: async () => {
    area.select()
    try { await navigator.clipboard.writeText(area.value) } catch { document.execCommand('copy') }
    copy.textContent = t('copied')
    setTimeout(() => { copy.textContent = t('copy.text') }, 2000)
  } }, t('copy.text'))
  return copy
}

/** Text that can be copied. @param {string} text @param {string} label */
export function copyable(text, label) {
  const input = h('input', { value: text, readonly: true, 'aria-label': label, dir: 'ltr', onfocus: () => input.select() })
  return h('div.copyable', input, copier(input))
}

/** Lines of a script or settings file, with a button that copies them. @param {string} text @param {string} label */
export function code(text, label) {
  const area = h('textarea', { value: text, 'aria-hidden': 'true', tabindex: '-1', class: 'gone' })
  return h('div.code', h('pre', { tabindex: '0', role: 'region', 'aria-label': label, dir: 'ltr' }, text), area, copier(area))
}

/** Saves what an address gives, or this file, on the machine of the visitor. @param {string} href @param {string} [name] what it is called */
export function save(href, name = '') {
  const link = h('a', { href, download: name })
  document.body.append(link)
  link.click()
  link.remove()
}

/** A heading with actions beside it. @param {string} text @param {...any} actions */
export const heading = (text, ...actions) => h('div.heading', h('h1', { tabindex: '-1' }, text), ...actions)

/** A table that becomes a list of cards where there is little room. @param {string} label @param {string[]} heads @param {any[][]} rows cells @param {string} empty */
export function table(label, heads, rows, empty) {
  if (!rows.length) return h('p.empty', empty)
  return h('table', { 'aria-label': label, role: 'table' }, h('thead', { role: 'rowgroup' }, h('tr', { role: 'row' }, heads.map((head) => h('th', { scope: 'col', role: 'columnheader' }, head || h('span.gone', t('actions')))))),
    h('tbody', { role: 'rowgroup' }, rows.map((cells) => h('tr', { role: 'row' }, cells.map((cell, n) => h('td', { role: 'cell', 'data-head': heads[n] || null }, cell))))))
}

