// The folders of the drive as a tree: a way through it, and places to drop things on.

import { h, icon, t } from '../dom.js'
import { join, page } from '../api.js'
import { failed } from '../ui.js'
import { folders } from './picker.js'

let count = 0
const is = (/** @type {any} */ item) => item.getAttribute('aria-expanded')

/** An ARIA tree with roving focus; what is below a folder is asked for when it is opened. */
export function tree() {
  const make = (/** @type {string} */ path, /** @type {string} */ name) => h('li', { role: 'none' }, h('a', { role: 'treeitem', href: page(path), 'aria-expanded': 'false', 'aria-owns': `t${++count}`, tabindex: '-1', 'data-path': path, draggable: 'false' }, icon('next'), icon('folder'), h('bdi', name)))
  const el = h('ul.folders', { role: 'tree', 'aria-label': t('folders') }, make('', t('view.files')))
  const all = () => /** @type {any[]} */ ([...el.querySelectorAll('a')])
  const top = all()[0]
  const find = (/** @type {string} */ path) => all().find((item) => item.dataset.path === path)

  /** @param {any} item @param {string[]} names */
  function fill(item, names) {
    const group = item.nextSibling
    const paths = names.map((name) => join(item.dataset.path, name))
    if (names.length) item.setAttribute('aria-expanded', 'true')
    else item.removeAttribute('aria-expanded')
    // What is as it was keeps the focus.
    if (`${paths}` === `${[...group?.children || []].map((li) => li.firstChild.dataset.path)}`) return
    const next = h('ul', { role: 'group', id: item.getAttribute('aria-owns') }, paths.map((path, n) => find(path)?.parentElement || make(path, names[n])))
    group?.remove()
    if (names.length) item.after(next)
    rest()
  }

  const open = async (/** @type {any} */ item) => { if (is(item) === 'false') fill(item, await folders(item.dataset.path)) }
  const toggle = (/** @type {any} */ item) => {
    if (is(item) !== 'true') return open(item).catch(failed)
    item.setAttribute('aria-expanded', 'false')
    item.nextSibling.remove()
    rest(item)
  }
  /** One of them is a stop of the Tab key. @param {any} item */
  const rest = (item = top) => { if (!el.querySelector('[tabindex="0"]')) item.tabIndex = 0 }

  /** @param {any} item @param {boolean} [focus] */
  function rove(item, focus = true) {
    if (!item) return
    for (const one of all()) one.tabIndex = one === item ? 0 : -1
    if (focus) item.focus()
    item.scrollIntoView({ block: 'nearest' })
  }

  el.addEventListener('click', (/** @type {any} */ event) => {
    const item = event.target.closest('a')
    if (!item) return
    rove(item)
    if (event.target.closest('.icon') !== item.firstChild) return
    event.preventDefault()
    toggle(item)
  })
  el.addEventListener('keydown', (/** @type {any} */ event) => {
    const item = event.target
    const shown = all()
    const at = shown.indexOf(item)
    const [out, into] = document.documentElement.dir === 'rtl' ? ['ArrowRight', 'ArrowLeft'] : ['ArrowLeft', 'ArrowRight']
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: shown.length - 1 }[/** @type {'Home'} */ (event.key)]
    if (to != null) rove(shown[to])
    else if (event.key === into) is(item) === 'true' ? rove(shown[at + 1]) : toggle(item)
    else if (event.key === out) is(item) === 'true' ? toggle(item) : rove(item.parentElement.parentElement.previousSibling)
    else if (event.key === ' ') item.click()
    else return
    event.preventDefault()
  })

  return {
    el,
    /** Opens the way to a folder. @param {string} path */
    async show(path) {
      let item = top
      let to = ''
      for (const name of path.split('/').filter(Boolean)) {
        await open(item)
        to = join(to, name)
        item = find(to) || item
      }
      el.querySelector('[aria-current]')?.removeAttribute('aria-current')
      item.setAttribute('aria-current', 'page')
      rove(item, false)
    },
    /** What lies in a folder now. @param {string} path @param {string[]} names */
    set(path, names) {
      const item = find(path)
      if (item) fill(item, names)
    },
  }
}
