// What the keys do.

import { h, remember, remembered, t } from '../dom.js'
import { ask, tick } from '../ui.js'

const KEYS = [['↑ ↓ Home End', 'move'], ['Enter', 'open'], ['Space', 'select'], ['Shift + ↑ ↓', 'range'], ['Ctrl + A', 'all'], ['Esc', 'none'], ['Backspace, Alt + ↑', 'up'],
  ['F2', 'rename'], ['Delete', 'delete'], ['Ctrl + Z', 'undo'], ['Ctrl + X, C, V', 'clipboard'], ['Ctrl + I', 'details'], ['/, Ctrl + F', 'filter'], ['Shift + F10', 'menu'], ['?', 'help']]

export function keys() {
  const single = tick(t('keys.single'), remembered('keys') !== 'off')
  single.input.addEventListener('change', () => remember('keys', single.input.checked ? '' : 'off'))
  return ask({ title: t('keys'), body: [h('table', { 'aria-label': t('keys') }, h('tbody', KEYS.map(([key, what]) => h('tr', h('td.mono', { dir: 'ltr' }, key), h('td', t(`key.${what}`)))))), single.el] })
}
