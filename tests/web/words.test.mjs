// The catalogue: no text stands outside it, every language has every key with the same places, nothing is left over.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const web = process.env.WEB || join(dirname(fileURLToPath(import.meta.url)), '../../web')
const sources = Object.fromEntries([...readdirSync(web), ...readdirSync(join(web, 'views')).map((name) => `views/${name}`)].filter((name) => name.endsWith('.js')).map((name) => [name, readFileSync(join(web, name), 'utf8')]))
const read = (name) => JSON.parse(readFileSync(join(web, 'locales', `${name}.json`), 'utf8'))
const tags = [...new Set(readdirSync(join(web, 'locales')).map((name) => name.split('.')[0]))]
const words = Object.fromEntries(tags.map((tag) => [tag, { ...read(tag), ...read(`${tag}.more`) }]))
const code = (text) => text.replace(/\/\*\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
/** Words that the pages of the server mark for `public.js`. */
const marked = [...readFileSync(join(web, '../src/http/public/html.rs'), 'utf8').matchAll(/data-t=\\"([\w.]+)\\"/g)].map(([, key]) => key)
const all = Object.values(sources).map(code).join('\n')

test('every language has every key, in the same file, with the same places and all its plurals', () => {
  for (const tag of tags) {
    for (const part of ['', '.more']) assert.deepEqual(Object.keys(read(tag + part)).sort(), Object.keys(read(`en${part}`)).sort(), `${tag}${part}`)
    const categories = new Intl.PluralRules(tag).resolvedOptions().pluralCategories
    for (const [key, value] of Object.entries(words[tag])) {
      const forms = typeof value === 'object' ? value : { other: value }
      assert.equal(typeof value, typeof words.en[key], `${tag} ${key}`)
      // What reads well for any number needs no more than `other`, but for languages with exactly two forms.
      if (typeof value === 'object') assert.ok('other' in value && Object.keys(value).every((form) => categories.includes(form)) && (categories.length !== 2 || 'one' in value), `${tag} ${key}`)
      const places = (text) => new Set(text.match(/\{\w+\}/g))
      const wanted = places(typeof words.en[key] === 'object' ? words.en[key].other : words.en[key])
      const said = places(Object.values(forms).join(' '))
      assert.deepEqual([...said].sort(), [...wanted].sort(), `${tag} ${key}`)
      assert.ok(Object.values(forms).every((text) => text.trim()), `${tag} ${key}`)
    }
  }
})

test('every key that is used exists, the first screen needs only its own file, and none is left over', () => {
  const core = read('en')
  for (const [name, text] of Object.entries(sources)) {
    const first = ['main.js', 'dom.js', 'api.js', 'ui.js', 'list.js', 'views/files.js'].includes(name)
    for (const [, key] of code(text).matchAll(/\bt\('([\w.]+)'/g)) {
      assert.ok(key in words.en, `${name}: ${key}`)
      assert.ok(!first || key in core || ['view.account'].includes(key), `${name}: ${key} is needed at once`)
    }
  }
  assert.ok(marked.length > 5 && marked.every((key) => key in words.en), marked.join(' '))
  const literals = new Set([...marked, ...[...all.matchAll(/'([\w.]+)'/g)].map(([, text]) => text)])
  const prefixes = [...all.matchAll(/\bt\(`([\w.]+)\$\{/g)].map(([, text]) => text)
  for (const key of Object.keys(words.en)) {
    assert.ok(literals.has(key) || key.startsWith('error.') || prefixes.some((prefix) => key.startsWith(prefix)), `${key} is left over`)
  }
})

test('no text stands outside the catalogue', () => {
  // Children of nodes, and attributes that people hear or read, are words of the catalogue or data.
  const known = /^(Sarang|[\W\d_]*|↑.*|Enter|Space|Shift.*|Ctrl.*|Esc|Backspace.*|F2|Delete|sign-in-failed|\/etc\/.*)$/
  for (const [name, source] of Object.entries(sources)) {
    const text = code(source)
    const found = []
    for (const [, spoken] of text.matchAll(/(?:'aria-label'|title|placeholder|alt|label): '([^']*)'/g)) found.push(spoken)
    for (const [, child] of text.matchAll(/\bh\('[^']*',\s*(?:\{[^{}]*\},\s*)?'([^']*)'/g)) found.push(child)
    for (const [, child] of text.matchAll(/(?:textContent = |toast\(|confirm\(|heading\()'([^']*)'/g)) found.push(child)
    // Anything with a blank between letters is a sentence, but for commands and the classes and roles of nodes.
    for (const [, literal] of text.matchAll(/'((?:[^'\\\n]|\\.)*)'/g)) {
      if (/^[A-Z][a-z]+ [a-z]/.test(literal)) found.push(literal)
    }
    for (const words of found) assert.ok(known.test(words), `${name}: ${JSON.stringify(words)}`)
  }
})

test('no text goes on over several lines: the server sends lines without their indentation', () => {
  for (const [name, source] of Object.entries(sources)) {
    for (const [n, line] of code(source).split('\n').entries()) assert.equal(line.replace(/\\./g, '').split('`').length % 2, 1, `${name}, near line ${n + 1}: ${line}`)
  }
})
