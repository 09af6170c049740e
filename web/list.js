// A list of any length as an ARIA grid: only what is in sight is in the page, the focus roves over rows, selecting costs the
// same for ten rows and for a hundred thousand.

import { h, icon, t } from './dom.js'

const SPARE = 3

/**
 * @typedef {object} Spec
 * @property {string} label
 * @property {[string, string][]} columns keys and heads
 * @property {(row: any) => string} key what names a row
 * @property {(row: any) => string} name what a row is called
 * @property {(row: any) => any[]} cells one for each column
 * @property {(row: any) => void} open
 * @property {(rows: any[], at: any) => void} menu
 * @property {() => void} changed the selection is another
 * @property {(column: string) => void} [sort]
 * @property {(event: KeyboardEvent) => boolean|void} [keys] first to hear a key
 * @property {(row: any) => any} [tile] content of a tile
 * @property {boolean} [drag]
 */

/** @param {Spec} spec */
export function grid(spec) {
  /** @type {any[]} */ let rows = []
  /** @type {Set<string>} */ let selected = new Set()
  /** @type {Map<number, any>} */ const shown = new Map()
  let active = 0
  let anchor = 0
  let tiles = false
  let across = 1
  let height = 36
  let width = 0
  let picking = false
  const touch = matchMedia('(pointer: coarse)')

  const box = h('input', { type: 'checkbox', tabindex: '-1', 'aria-label': t('select.all'), onchange: () => select(box.checked ? rows.map(spec.key) : []) })
  const heads = new Map(spec.columns.map(([key, words]) => [key, h(`div.cell.${key}`, { role: 'columnheader' }, spec.sort ? h('button', { type: 'button', onclick: () => spec.sort?.(key) }, h('span', words), icon('none')) : words)]))
  const head = h('div.row.head', { role: 'row', 'aria-rowindex': '1' }, h('div.cell.check', { role: 'columnheader' }, box), [...heads.values()], h('div.cell.menu-cell', { role: 'columnheader' }, h('span.gone', t('actions'))))
  const space = h('div.space', { role: 'presentation' })
  const body = h('div.scroll', { role: 'rowgroup' }, space)
  const el = h('div.grid', { role: 'grid', 'aria-label': spec.label, 'aria-multiselectable': 'true' }, h('div', { role: 'rowgroup' }, head), body)

  function measure() {
    width = body.clientWidth
    across = tiles ? Math.max(2, Math.floor(width / 168)) : 1
    height = tiles ? Math.floor(width / across) : touch.matches ? 48 : 36
    space.style.height = `${Math.ceil(rows.length / across) * height}px`
  }

  /** @param {number} index */
  function make(index) {
    const row = rows[index]
    const key = spec.key(row)
    const on = selected.has(key)
    const made = h(tiles ? 'div.row.tile' : 'div.row', { role: 'row', 'aria-rowindex': index + 2, 'aria-selected': String(on), tabindex: index === active ? '0' : '-1', draggable: spec.drag ? 'true' : null, 'data-index': index },
      h('div.cell.check', { role: 'gridcell' }, h('input', { type: 'checkbox', tabindex: '-1', checked: on, 'aria-label': t('select.one', { name: spec.name(row) }) })),
      tiles && spec.tile ? h('div.cell.name', { role: 'gridcell' }, spec.tile(row)) : spec.cells(row).map((cell, n) => h(`div.cell.${spec.columns[n][0]}`, { role: 'gridcell' }, cell)),
      h('div.cell.menu-cell', { role: 'gridcell' }, h('button.tool.row-menu', { type: 'button', tabindex: '-1', 'aria-haspopup': 'menu', 'aria-label': t('actions.of', { name: spec.name(row) }) }, icon('more'))))
    made.style.top = `${Math.floor(index / across) * height}px`
    if (tiles) {
      made.style.insetInlineStart = `${(index % across) * 100 / across}%`
      made.style.width = `${100 / across}%`
    }
    made.style.height = `${height}px`
    return made
  }

  function paint() {
    const first = Math.max(0, (Math.floor(body.scrollTop / height) - SPARE) * across)
    const last = Math.min(rows.length, (Math.ceil((body.scrollTop + body.clientHeight) / height) + SPARE) * across)
    for (const [index, row] of shown) {
      if ((index < first || index >= last) && (index !== active || index >= rows.length)) {
        row.remove()
        shown.delete(index)
      }
    }
    let after = active >= last ? shown.get(active) || null : null
    for (let index = last - 1; index >= first; index--) {
      let row = shown.get(index)
      if (!row) {
        row = make(index)
        shown.set(index, row)
        space.insertBefore(row, after)
      }
      after = row
    }
  }

  let due = false
  const soon = () => {
    if (due) return
    due = true
    requestAnimationFrame(() => { due = false; paint() })
  }
  body.addEventListener('scroll', soon, { passive: true })
  const watch = new ResizeObserver(() => { if (body.clientWidth !== width) again(); else soon() })
  watch.observe(body)

  /** Builds the rows in sight anew; the focus stays where it was. */
  function again() {
    const focused = space.contains(document.activeElement)
    for (const row of shown.values()) row.remove()
    shown.clear()
    measure()
    el.setAttribute('aria-rowcount', String(rows.length + 1))
    paint()
    if (focused) focus(active)
  }

  /** @param {string[]|Set<string>} keys */
  function select(keys) {
    selected = new Set(keys)
    marked()
  }

  function marked() {
    for (const [index, row] of shown) {
      const on = selected.has(spec.key(rows[index]))
      row.setAttribute('aria-selected', String(on))
      row.querySelector('input').checked = on
    }
    box.checked = selected.size > 0 && selected.size === rows.length
    box.indeterminate = selected.size > 0 && !box.checked
    el.classList.toggle('picking', selected.size > 0)
    if (!selected.size) picking = false
    spec.changed()
  }

  /** @param {number} index */
  function toggle(index) {
    const key = spec.key(rows[index])
    if (!selected.delete(key)) selected.add(key)
    anchor = index
    marked()
  }

  /** @param {number} to */
  function range(to) {
    const [from, end] = anchor < to ? [anchor, to] : [to, anchor]
    select(rows.slice(from, end + 1).map(spec.key))
  }

  /** @param {number} index */
  function focus(index) {
    if (!rows.length) return
    const before = shown.get(active)
    if (before) before.tabIndex = -1
    active = Math.max(0, Math.min(index, rows.length - 1))
    const top = Math.floor(active / across) * height
    if (top < body.scrollTop) body.scrollTop = top
    else if (top + height > body.scrollTop + body.clientHeight) body.scrollTop = top + height - body.clientHeight
    paint()
    const row = shown.get(active)
    if (!row) return
    row.tabIndex = 0
    row.focus({ preventScroll: true })
  }

  /** The row of an event. @param {Event} event */
  const at = (event) => {
    const row = event.target instanceof Element ? event.target.closest('[data-index]') : null
    return row ? Number(row.getAttribute('data-index')) : -1
  }
  /** What an action on this row is about: all that is selected, if it is. @param {number} index */
  const about = (index) => (selected.has(spec.key(rows[index])) ? chosen() : [rows[index]])
  const chosen = () => rows.filter((row) => selected.has(spec.key(row)))

  space.addEventListener('click', (/** @type {MouseEvent} */ event) => {
    const index = at(event)
    const target = /** @type {Element} */ (event.target)
    if (index < 0) return
    if (held) { held = false; event.preventDefault(); return }
    const link = target.closest('a')
    if (target.closest('.row-menu')) return spec.menu(about(index), target.closest('.row-menu'))
    if (link && (event.button || event.metaKey && !/Mac/.test(navigator.platform))) return
    if (link) event.preventDefault()
    setActive(index)
    if (target.closest('.check')) return event.shiftKey ? range(index) : toggle(index)
    if (event.shiftKey) return range(index)
    if (event.ctrlKey || event.metaKey || picking) return toggle(index)
    if (link || touch.matches) return spec.open(rows[index])
    anchor = index
    select([spec.key(rows[index])])
  })
  space.addEventListener('dblclick', (/** @type {MouseEvent} */ event) => {
    const index = at(event)
    if (index >= 0 && !(/** @type {Element} */ (event.target)).closest('input, button, a')) spec.open(rows[index])
  })
  space.addEventListener('contextmenu', (/** @type {MouseEvent} */ event) => {
    const index = at(event)
    if (index < 0 || held) return event.preventDefault()
    event.preventDefault()
    setActive(index)
    spec.menu(about(index), { x: event.clientX, y: event.clientY })
  })

  /** @param {number} index */
  function setActive(index) {
    const before = shown.get(active)
    if (before) before.tabIndex = -1
    active = index
    const row = shown.get(index)
    if (row) { row.tabIndex = 0; row.focus({ preventScroll: true }) }
  }

  // A long press of a finger begins to select.
  let held = false
  let timer = 0
  const letGo = () => clearTimeout(timer)
  space.addEventListener('pointerdown', (/** @type {PointerEvent} */ event) => {
    held = false
    const index = at(event)
    if (event.pointerType !== 'touch' || index < 0) return
    timer = setTimeout(() => { held = true; picking = true; toggle(index) }, 500)
  })
  for (const type of ['pointerup', 'pointercancel', 'pointermove']) {
    space.addEventListener(type, (/** @type {PointerEvent} */ event) => { if (type !== 'pointermove' || Math.abs(event.movementX) + Math.abs(event.movementY) > 4) letGo() })
  }
  body.addEventListener('scroll', letGo, { passive: true })

  el.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    if (!(event.target instanceof Element) || !event.target.closest('.scroll') || event.target.closest('input[type=text]')) return
    if (spec.keys?.(event)) return event.preventDefault()
    const page = Math.max(1, Math.floor(body.clientHeight / height)) * across
    const [left, right] = document.documentElement.dir === 'rtl' ? ['ArrowRight', 'ArrowLeft'] : ['ArrowLeft', 'ArrowRight']
    const moves = { ArrowDown: active + across, ArrowUp: active - across, Home: 0, End: rows.length - 1, PageDown: active + page, PageUp: active - page, ...(tiles ? { [left]: active - 1, [right]: active + 1 } : {}) }
    const control = event.ctrlKey || event.metaKey
    if (event.key in moves && !event.altKey) {
      focus(moves[/** @type {'Home'} */ (event.key)])
      if (event.shiftKey) range(active)
      else if (!control) anchor = active
    } else if (event.key === ' ') toggle(active)
    else if (control && event.key === 'a') select(rows.map(spec.key))
    else if (event.key === 'Escape' && selected.size) select([])
    else if (event.key === 'Enter' && rows[active] && !control) spec.open(rows[active])
    else if ((event.key === 'F10' && event.shiftKey || event.key === 'ContextMenu') && rows[active]) spec.menu(about(active), shown.get(active))
    else return
    event.preventDefault()
  })

  return {
    el,
    body,
    chosen,
    focus: () => focus(active),
    /** What keys act on: the selection, or the row that has the focus. */
    aim: () => (selected.size ? chosen() : rows[active] ? [rows[active]] : []),
    /** The row that something is over. @param {Event} event */
    rowAt: (event) => rows[at(event)],
    count: () => selected.size,
    clear: () => select([]),
    /** Other rows; what is selected and has the focus stays so by its key. @param {any[]} next @param {string} [to] the key of the row that gets the focus */
    set(next, to) {
      const key = to ?? (rows[active] && spec.key(rows[active]))
      rows = next
      const found = key == null ? 0 : rows.findIndex((row) => spec.key(row) === key)
      active = Math.max(0, found >= 0 ? found : Math.min(active, rows.length - 1))
      if (selected.size) {
        const keys = new Set(rows.map(spec.key))
        selected = new Set([...selected].filter((one) => keys.has(one)))
      }
      again()
      marked()
      if (to != null && found >= 0) focus(active)
    },
    /** @param {string} column @param {boolean} down */
    sorted(column, down) {
      for (const [key, cell] of heads) {
        const is = key === column
        cell.setAttribute('aria-sort', is ? (down ? 'descending' : 'ascending') : 'none')
        cell.querySelector('.icon')?.replaceWith(icon(is ? (down ? 'down' : 'up') : 'none'))
      }
    },
    /** @param {boolean} on */
    tiles(on) {
      tiles = on
      el.classList.toggle('tiles', on)
      body.scrollTop = 0
      again()
    },
    leave: () => watch.disconnect(),
  }
}
