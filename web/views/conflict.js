// A name that is taken: replace what is there, keep both, or leave it out; for this one or for all.

import { h, t } from '../dom.js'
import { base } from '../api.js'
import { ask, tick } from '../ui.js'

/**
 * @param {string} name @param {string} folder @param {boolean} more whether others may follow
 * @param {(choice: string) => void} forAll hears what is to hold for the rest
 * @returns {Promise<string>} `both`, `replace` or `skip`
 */
export async function conflict(name, folder, more, forAll) {
  const all = tick(t('conflict.all'))
  const choices = ['both', 'replace', 'skip'].map((value, n) => h('label.tick', h('input', { type: 'radio', name: 'choice', value, checked: !n }), t(`conflict.${value}`)))
  const done = await ask({ title: t('conflict'), submit: t('goon'), close: t('conflict.skip'), body: [h('p', t('conflict.text', { name, folder: base(folder) || t('view.files') })), h('div.choices', { role: 'radiogroup', 'aria-label': t('conflict') }, choices), more && all.el] })
  const chosen = /** @type {any} */ (choices.map((label) => label.querySelector('input')).find((input) => input.checked))
  const choice = done ? chosen.value : 'skip'
  if (all.input.checked) forAll(choice)
  return choice
}
