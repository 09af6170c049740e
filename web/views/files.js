// The files of a folder: what is there, and what can be done with it.

import { THUMBS, date, h, icon, kindOf, named, part, remember, remembered, replace, size, t } from '../dom.js'
import { Problem, address, all, api, base, explain, join, lines, numbered, page, parent, say, session } from '../api.js'
import { ask, button, failed, line, menu, save, toast, tool } from '../ui.js'
import { grid } from '../list.js'
import { go, refreshMe } from '../main.js'

/** @typedef {{ name: string, folder: boolean, size: number, time: number, etag: string, path: string }} File */

/** How often the folder is looked at, and how often all of its files. */
const LOOK = 5000
const LOOK_CLOSER = 6
/** How often the results of a search are shown while there come more. */
const SHOW = 300
/** What servers and proxies take of an address. */
const LONGEST_ADDRESS = 7000

/** A row of a listing, or of what was found. @param {string} path @param {any[]} row @returns {File} */
const file = (path, [, kind, bytes, time, etag]) => ({ name: base(path), folder: kind === 'folder', size: bytes, time, etag, path })

/** The view of a folder; another folder shows in the same one. @param {any} ctx */
export default async function files(ctx) {
  let path = ''
  /** @type {File[]} */ let entries = []
  let found = false
  let sort = (remembered('sort') || 'name').split(' ')
  let tag = ''
  let folderTag = ''
  let looks = 0
  let left = false
  /** @type {AbortController} */ let loading = new AbortController()
  /** @type {() => void} */ let arrived
  /** When there is something to show: the first page of a large folder. */
  const here = new Promise((resolve) => { arrived = () => resolve(null) })
  const cut = { paths: /** @type {string[]} */ ([]), copy: false }

  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' })
  const list = grid({
    label: t('view.files'),
    columns: [['name', t('name.file')], ['size', t('size')], ['time', t('modified')]],
    key: (file) => file.path,
    name: (file) => file.name,
    cells: (file) => [link(file), file.folder ? '' : size(file.size), date(file.time)],
    tile: (file) => [THUMBS.test(file.name) && !file.folder ? h('img', { src: address('files/thumbnail', { path: file.path, size: 320 }), alt: '', loading: 'lazy', onerror: (/** @type {any} */ event) => event.target.replaceWith(icon(kindOf(file.name))) }) : icon(file.folder ? 'folder' : kindOf(file.name)), link(file)],
    open,
    menu: actions,
    changed: () => { bar(); status() },
    sort: (column) => { sort = [column, sort[0] === column && sort[1] !== 'down' ? 'down' : '']; remember('sort', sort.join(' ')); order() },
    keys,
    drag: true,
  })
  const link = (/** @type {File} */ file) => h('a', { href: file.folder ? page(file.path) : address('files/content', { path: file.path }), tabindex: '-1' }, icon(file.folder ? 'folder' : kindOf(file.name)), named(file.name), found && h('bdi.where', parent(file.path) || t('view.files')))

  const filter = h('input', { type: 'search', placeholder: t('filter'), 'aria-label': t('filter'), autocomplete: 'off', spellcheck: 'false', oninput: narrow, onkeydown: (/** @type {KeyboardEvent} */ event) => {
    if (event.key === 'Escape') { filter.value = ''; narrow(); list.focus() }
    else if (event.key === 'ArrowDown') list.focus()
    else if (event.key === 'Enter' && filter.value) search()
    else return
    event.preventDefault()
  } })
  const crumbs = h('nav.crumbs', { 'aria-label': t('crumbs') })
  const tools = h('div.tools')
  const note = h('p.note', { role: 'status', 'aria-live': 'polite' })
  const card = h('div')
  const empty = h('div.empty', { hidden: true })
  const details = h('div.beside')
  const side = h('div.beside')
  const el = h('div.files', h('h1.gone', { tabindex: '-1' }, t('view.files')), h('div.bar', crumbs, h('div.search', filter)), tools, card, h('div.split', side, h('div.pane', list.el, empty, note), details))

  // --- what is there

  /** @param {string} [focus] the path that gets the focus */
  async function load(focus) {
    loading.abort()
    loading = new AbortController()
    const { signal } = loading
    found = false
    el.setAttribute('aria-busy', 'true')
    try {
      /** @type {File[]} */ const rows = []
      let cursor
      do {
        const response = await api('GET', 'files', { query: { path, cursor }, raw: true, signal })
        const first = !cursor
        if (first) tag = response.headers.get('ETag')
        const got = await response.json()
        if (signal.aborted) return
        cursor = got.next
        for (const row of got.items) rows.push(file(join(path, row[0]), row))
        entries = rows
        // Putting them in order takes long where there are many: with the first page, and when all are there.
        if (first || !cursor) order(focus)
      } while (cursor)
      branch()
      folderTag = ''
    } catch (error) {
      if (signal.aborted) return
      entries = []
      order()
      lost(error)
    } finally {
      if (!signal.aborted) el.removeAttribute('aria-busy')
    }
  }

  /** @param {any} error */
  function lost(error) {
    empty.hidden = false
    const gone = error instanceof Problem && (error.status === 404 || error.status === 409) && path
    replace(empty, h('p.wrong', { role: 'alert' }, gone ? t('folder.gone') : say(error)),
      gone ? h('a.button', { href: page(parent(path)) }, t('up')) : button('retry', t('again'), () => load()))
  }

  /** @param {string} [focus] */
  function order(focus) {
    const part = found ? '' : fold(filter.value)
    const shown = part ? entries.filter((file) => fold(file.name).includes(part)) : entries.slice()
    const by = { name: (/** @type {File} */ _a, /** @type {File} */ _b) => 0, size: (/** @type {File} */ a, /** @type {File} */ b) => a.size - b.size, time: (/** @type {File} */ a, /** @type {File} */ b) => a.time - b.time }[/** @type {'name'} */ (sort[0])]
    const way = sort[1] === 'down' ? -1 : 1
    shown.sort((a, b) => Number(b.folder) - Number(a.folder) || way * (by(a, b) || collator.compare(a.name, b.name)))
    list.sorted(sort[0], sort[1] === 'down')
    list.set(shown, focus)
    empty.hidden = shown.length > 0
    if (!shown.length) replace(empty, found ? h('p', t('search.found', { n: 0 })) : part ? h('p', t('filter.none')) : [h('p', t('folder.empty')), h('p.hint', t('folder.drop'))])
    list.el.hidden = !shown.length
    status()
    arrived()
  }

  const fold = (/** @type {string} */ text) => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase()

  function status() {
    const chosen = list.count() ? list.chosen() : []
    const bytes = (/** @type {File[]} */ some) => some.reduce((sum, file) => sum + file.size, 0)
    note.textContent = chosen.length ? `${t('selected', { n: chosen.length })}, ${size(bytes(chosen))}` : `${t('items', { n: entries.length })}, ${size(bytes(entries))}`
  }

  /** Shows what of the folder has the text in its name, whatever was searched for before. */
  function narrow() {
    if (found) load()
    else order()
  }

  /** Shows what is found below the folder as it comes, until the text or the folder is another. */
  async function search() {
    loading.abort()
    loading = new AbortController()
    const { signal } = loading
    found = true
    note.textContent = t('search.running')
    /** @type {File[]} */ const some = []
    let timer = 0
    const show = (/** @type {string} */ more) => {
      entries = some
      order()
      note.textContent = `${t('search.found', { n: some.length })} ${more}`
    }
    /** @type {any} */ let cut = true
    try {
      ({ cut } = await lines('files/search', { query: { path, name: filter.value, limit: 1000 }, signal }, (rows) => {
        some.push(...rows.map((row) => file(row[0], row)))
        // Not at each row: putting them in order takes its time, and saying how many there are takes longer.
        timer ||= setTimeout(() => { timer = 0; show(t('search.running')) }, SHOW)
      }))
    } catch (error) {
      if (signal.aborted) return
      failed(error)
      found = some.length > 0
      if (!found) return status()
    } finally { clearTimeout(timer) }
    show(cut ? t('search.cut') : '')
  }

  /** Looks whether another client has changed the folder. */
  async function look() {
    if (left || document.hidden || found || el.getAttribute('aria-busy')) return
    const here = path
    try {
      const stat = await api('GET', 'files/stat', { query: { path }, quiet: true })
      // After loading, the first look compares the listing itself: the folder may have changed in between.
      const changed = stat.etag !== folderTag
      folderTag = stat.etag
      if (!changed && ++looks % LOOK_CLOSER) return
      const response = await api('GET', 'files', { query: { path }, headers: { 'If-None-Match': tag }, raw: true, quiet: true })
      if (response.status !== 304 && here === path && response.headers.get('ETag') !== tag) load()
    } catch (error) {
      if (error instanceof Problem && error.status === 404 && here === path) { entries = []; order(); lost(error) }
    }
  }
  const looking = setInterval(look, LOOK)

  // --- around the list

  /** @type {any} */ let tree = null
  /** Shows the folders beside the list, where that is wished for. */
  async function grow() {
    const { tree: make } = await part('tree')
    replace(side, (tree = make()).el)
    await tree.show(path).then(branch)
  }
  const branch = () => tree?.set(path, entries.filter((file) => file.folder).map((file) => file.name).sort(collator.compare))

  function trail() {
    const names = path ? path.split('/') : []
    const item = (/** @type {string} */ to, /** @type {any} */ words, /** @type {boolean} */ last) => h('li', h('a', { href: page(to), 'aria-current': last ? 'page' : null, 'data-path': to }, words))
    replace(crumbs, h('ol', item('', t('view.files'), !names.length), names.map((name, n) => item(names.slice(0, n + 1).join('/'), h('bdi', name), n === names.length - 1))))
  }

  function bar() {
    const chosen = list.count()
    const many = chosen > 1
    const act = (/** @type {(files: File[]) => any} */ run) => () => run(list.chosen())
    tools.classList.toggle('picked', chosen > 0)
    replace(tools, chosen ? [
      button('close', t('selected', { n: chosen }), () => { list.clear(); list.focus() }, { class: 'quiet', title: t('select.none') }),
      button('download', t('download'), act(download)),
      !many && button('share', t('share'), act(share), { class: 'roomy' }),
      button('move', t('move'), act((some) => place(some, false))),
      button('copy', t('copy'), act((some) => place(some, true)), { class: 'roomy' }),
      !many && button('edit', t('rename'), act(rename), { class: 'roomy' }),
      button('trash', t('delete'), act(remove)),
      button('more', t('more'), (/** @type {any} */ event) => actions(list.chosen(), event.currentTarget), { class: many && 'narrow', 'aria-haspopup': 'menu' }),
    ] : [
      button('upload', t('upload'), (/** @type {any} */ event) => menu(event.currentTarget, [
        { label: t('upload.files'), icon: 'file', run: () => pick(false) },
        { label: t('upload.folder'), icon: 'folder', run: () => pick(true) },
      ], t('upload')), { class: 'primary', 'aria-haspopup': 'menu' }),
      button('newfolder', t('newfolder'), makeFolder),
      button('text', t('newtext'), makeText, { class: 'roomy' }),
      path && button('share', t('share.this'), () => share([file(path, ['', 'folder'])]), { class: 'roomy' }),
      h('span.gap'),
      h('span.wider', tool('tree', t('folders'), () => {
        remember('tree', remembered('tree') ? '' : '1')
        if (remembered('tree')) grow().catch(failed)
        else replace(side, tree = null)
      })),
      tool(remembered('tiles') ? 'list' : 'tiles', remembered('tiles') ? t('as.list') : t('as.tiles'), () => { remember('tiles', remembered('tiles') ? '' : '1'); list.tiles(!!remembered('tiles')); bar() }),
    ])
  }

  // --- what can be done

  /** @param {File[]} some @param {any} at */
  function actions(some, at) {
    const one = some.length === 1 ? some[0] : null
    const lazy = (/** @type {string} */ module, /** @type {string} */ name) => async () => (await part(module))[name](one, load)
    menu(at, [
      one && { label: t('open'), icon: one.folder ? 'folder' : 'eye', run: () => open(one) },
      { label: t('download'), icon: 'download', run: () => download(some) },
      one && !one.folder && kindOf(one.name) === 'text' && { label: t('edit'), icon: 'text', run: lazy('edit', 'edit') },
      null,
      one && { label: t('share'), icon: 'share', run: () => share(some) },
      one && { label: t('rename'), icon: 'edit', run: () => rename(some) },
      { label: t('move'), icon: 'move', run: () => place(some, false) },
      { label: t('copy'), icon: 'copy', run: () => place(some, true) },
      null,
      one && !one.folder && { label: t('versions'), icon: 'versions', run: lazy('details', 'versions') },
      one && { label: t('details'), icon: 'info', run: () => detail(one) },
      null,
      { label: t('delete'), icon: 'trash', danger: true, run: () => remove(some) },
    ], t('actions'))
  }

  /** @param {File} file */
  async function open(file) {
    if (file.folder) return go(page(file.path))
    const { preview } = await part('preview')
    preview(file, entries.filter((one) => !one.folder), { download, edit: load })
  }

  /** @param {File} file */
  async function detail(file) {
    const { show } = await part('details')
    replace(details, await show(file, () => { replace(details); list.focus() }, load))
  }

  /** @param {File[]} some */
  function download(some) {
    const one = some.length === 1 && !some[0].folder ? some[0] : null
    const whole = !found && some.length === entries.length && some.length > 1
    const href = one ? address('files/content', { path: one.path }) : address('zip', { path: whole ? path : some.map((file) => file.path) })
    if (href.length > LONGEST_ADDRESS) return toast(t('zip.many'), { error: true })
    save(href, one?.name)
  }

  /** @param {File[]} some */
  async function share(some) {
    (await part('sharing')).share(some[0].path, some[0].folder)
  }

  /** Results of a call on many paths: what failed is told. @param {any} answer @returns {Promise<any[]>} what was done */
  async function told(answer) {
    const wrong = answer.results.filter((/** @type {any} */ one) => one.code)
    if (wrong.length) {
      const words = async (/** @type {any} */ one) => say(await explain(new Problem(one.status, one), one.path))
      if (wrong.length === 1) toast(`${t('named', { name: base(wrong[0].path) })} ${await words(wrong[0])}`, { error: true })
      else ask({ title: t('failed', { n: wrong.length }), body: h('ul', await Promise.all(wrong.map(async (/** @type {any} */ one) => h('li', h('bdi', base(one.path)), ': ', await words(one))))) })
    }
    return answer.results.filter((/** @type {any} */ one) => !one.code)
  }

  /** @param {string} way @param {any[]} items @param {string} key */
  async function bulk(way, items, key) {
    const results = []
    for (let n = 0; n < items.length; n += 1000) results.push(...(await api('POST', `files/${way}`, { body: { [key]: items.slice(n, n + 1000) } })).results)
    return { results }
  }

  /** @param {File[]} some */
  async function remove(some) {
    if (!some.length) return
    if (some.length >= 50 && !await ask({ title: t('delete'), body: h('p', t('delete.many', { n: some.length })), submit: t('delete'), danger: true })) return
    try {
      const done = await told(await bulk('delete', some.map((file) => file.path), 'paths'))
      const paths = done.map((one) => one.path)
      list.clear()
      await load()
      list.focus()
      if (paths.length) toast(paths.length === 1 ? t('deleted.one', { name: base(paths[0]) }) : t('deleted', { n: paths.length }), { undo: () => restore(paths) })
      refreshMe()
    } catch (error) { failed(error) }
  }

  /** Brings back what was deleted a moment ago. @param {string[]} paths */
  async function restore(paths) {
    const wanted = new Set(paths.map((one) => `/${one}`))
    const folder = parent(paths[0]) || undefined
    let back = 0
    for (const item of await all('trash', { folder })) {
      // Newest first: of several that lay there, the one that went last. Clocks of two machines differ.
      if (!wanted.delete(item.path)) continue
      await api('POST', `trash/${encodeURIComponent(item.id)}/restore`, { body: folder ? { folder } : {} })
      back += 1
    }
    await load(paths[0])
    toast(t('restored', { n: back }))
    refreshMe()
  }

  /** @param {File[]} some */
  function rename([file]) {
    line(t('rename'), t('name.new'), file.name, t('rename'), async (name) => {
      if (name === file.name) return
      const to = join(parent(file.path), name)
      await single('move', file.path, to)
      await load(to)
      toast(t('renamed', { name }), { undo: async () => { await single('move', to, file.path); await load(file.path) } })
    })
  }

  /** @param {string} way @param {string} from @param {string} to @param {boolean} [overwrite] */
  async function single(way, from, to, overwrite = false) {
    const { results: [one] } = await api('POST', `files/${way}`, { body: { items: [{ from, to }], overwrite } })
    if (one.code) throw await explain(new Problem(one.status, one), from)
  }

  /** @param {File[]} some @param {boolean} copy */
  async function place(some, copy) {
    const { pickFolder } = await part('picker')
    const to = await pickFolder(path, t(copy ? 'copy.title' : 'move.title', { n: some.length }), t(copy ? 'copy.here' : 'move.here'))
    if (to != null) await transfer(some.map((file) => file.path), to, copy)
  }

  /** Moves or copies into a folder; asks what to do where a name is taken. @param {string[]} paths @param {string} folder @param {boolean} copy */
  async function transfer(paths, folder, copy) {
    const way = copy ? 'copy' : 'move'
    let items = paths.filter((from) => copy || parent(from) !== folder).map((from) => ({ from, to: join(folder, base(from)) }))
    if (!items.length) return
    try {
      const done = /** @type {any[]} */ ([])
      let answer = await bulk(way, items, 'items')
      const taken = items.filter((_, n) => answer.results[n].code === 'exists')
      answer.results = answer.results.filter((/** @type {any} */ one) => one.code !== 'exists')
      done.push(...await told(answer))
      if (taken.length) {
        const { conflict } = await part('conflict')
        let forAll = ''
        for (const item of taken) {
          const what = forAll || await conflict(base(item.from), folder, taken.length > 1, (/** @type {string} */ choice) => { forAll = choice })
          if (what === 'replace') await single(way, item.from, item.to, true).then(() => done.push({ path: item.from })).catch(failed)
          if (what === 'both') await beside(way, item).then(() => done.push({ path: item.from })).catch(failed)
        }
      }
      const moved = new Map(items.map((item) => [item.from, item.to]))
      list.clear()
      await load()
      list.focus()
      if (!done.length) return
      const undo = copy ? undefined : async () => {
        await told(await bulk('move', done.map(({ path: from }) => ({ from: moved.get(from), to: from })), 'items'))
        await load()
      }
      toast(t(copy ? 'copied.n' : 'moved.n', { n: done.length, folder: base(folder) || t('view.files') }), { undo })
      if (copy) refreshMe()
    } catch (error) { failed(error) }
  }

  /** Under the first free name. @param {string} way @param {any} item */
  async function beside(way, item) {
    for (let n = 2; ; n++) {
      const to = join(parent(item.to), numbered(base(item.to), n))
      try {
        await single(way, item.from, to)
        item.to = to
        return
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== 'exists' || n > 100) throw error
      }
    }
  }

  function makeFolder() {
    line(t('newfolder'), t('name.file'), t('newfolder'), t('create'), async (name) => {
      const to = join(path, name)
      await api('POST', 'files/folder', { body: { path: to } })
      await load(to)
    })
  }

  function makeText() {
    line(t('newtext'), t('name.file'), t('newtext.name'), t('create'), async (name) => {
      const to = join(path, name)
      await api('PUT', 'files/content', { query: { path: to, overwrite: false }, body: '', headers: { 'Content-Type': 'text/plain' } })
      await load(to)
      const file = entries.find((one) => one.path === to)
      if (file) (await part('edit')).edit(file, load)
    })
  }

  // --- uploads

  /** @param {boolean} folder */
  function pick(folder) {
    const input = h('input', { type: 'file', multiple: true, class: 'gone', 'aria-hidden': 'true', tabindex: '-1' })
    if (folder) input.webkitdirectory = true
    input.addEventListener('change', async () => { input.remove(); send([...input.files].map((file) => ({ file, to: file.webkitRelativePath || file.name }))) })
    document.body.append(input)
    input.click()
  }

  /** @param {{ file: any, to: string }[]} some @param {string[]} [folders] empty ones, too @param {string} [into] */
  async function send(some, folders = [], into = path) {
    const { upload } = await part('upload')
    upload(some.map(({ file, to }) => ({ file, path: join(into, to) })), folders.map((folder) => join(into, folder)), into)
  }
  const stored = (/** @type {any} */ event) => { if (event.detail.folders.has(path)) { clearTimeout(storing); storing = setTimeout(() => load(), 400) } }
  let storing = 0
  addEventListener('sarang:stored', stored)

  const paste = async (/** @type {ClipboardEvent} */ event) => {
    if (event.target instanceof Element && event.target.closest('input, textarea, dialog')) return
    const given = [...(event.clipboardData?.files || [])]
    if (given.length) { event.preventDefault(); send(given.map((file) => ({ file, to: file.name }))) }
  }
  addEventListener('paste', paste)

  // --- drag and drop: files from outside, rows onto folders and the trail

  const OWN = 'application/x-sarang'
  list.el.addEventListener('dragstart', (/** @type {DragEvent} */ event) => {
    const row = list.rowAt(event)
    if (!row || !event.dataTransfer) return
    const some = list.chosen().includes(row) ? list.chosen() : [row]
    event.dataTransfer.setData(OWN, JSON.stringify(some.map((file) => file.path)))
    event.dataTransfer.effectAllowed = 'copyMove'
  })
  /** Where something would be dropped. @param {DragEvent} event */
  const target = (event) => {
    const at = event.target instanceof Element ? event.target : null
    const crumb = at?.closest('[data-path]')
    if (crumb) return { to: crumb.getAttribute('data-path') || '', el: crumb }
    const row = list.rowAt(event)
    return row?.folder ? { to: row.path, el: at?.closest('[data-index]') } : { to: path, el }
  }
  let over = /** @type {any} */ (null)
  const light = (/** @type {any} */ next) => { if (over !== next) { over?.classList.remove('over'); next?.classList.add('over'); over = next } }
  el.addEventListener('dragover', (/** @type {DragEvent} */ event) => {
    const types = event.dataTransfer?.types || []
    if (!event.dataTransfer || !types.includes('Files') && !types.includes(OWN)) return
    event.preventDefault()
    event.dataTransfer.dropEffect = types.includes('Files') || event.ctrlKey ? 'copy' : 'move'
    light(target(event).el)
  })
  el.addEventListener('dragleave', (/** @type {DragEvent} */ event) => { if (!el.contains(/** @type {any} */ (event.relatedTarget))) light(null) })
  el.addEventListener('drop', async (/** @type {DragEvent} */ event) => {
    if (!event.dataTransfer) return
    event.preventDefault()
    light(null)
    const { to } = target(event)
    const own = event.dataTransfer.getData(OWN)
    if (own) return transfer(JSON.parse(own).filter((/** @type {string} */ from) => from !== to), to, event.ctrlKey)
    const { dropped } = await part('upload')
    const { some, folders } = await dropped(event.dataTransfer)
    send(some, folders, to)
  })

  // --- keys

  /** @param {KeyboardEvent} event @returns {boolean} whether that was all */
  function keys(event) {
    const control = event.ctrlKey || event.metaKey
    const aim = list.aim()
    if (event.key === 'F2' && aim.length === 1) rename(aim)
    else if (event.key === 'Delete') remove(aim)
    else if (event.key === 'Backspace' || event.key === 'ArrowUp' && event.altKey) { if (path) go(page(parent(path))) }
    else if (control && (event.key === 'x' || event.key === 'c') && aim.length) {
      cut.paths = aim.map((file) => file.path)
      cut.copy = event.key === 'c'
      toast(t(cut.copy ? 'held.copy' : 'held.cut', { n: aim.length }))
    } else if (control && event.key === 'v' && cut.paths.length) { transfer(cut.paths, path, cut.copy); if (!cut.copy) cut.paths = [] }
    else if (event.key === 'i' && control && aim.length === 1) detail(aim[0])
    else return false
    return true
  }
  const finding = (/** @type {KeyboardEvent} */ event) => {
    if (event.target instanceof Element && event.target.closest('input, textarea, dialog')) return
    const slash = event.key === '/' && remembered('keys') !== 'off'
    if (slash || (event.ctrlKey || event.metaKey) && event.key === 'f') { event.preventDefault(); filter.focus() }
    else if (event.target === document.body && ['ArrowDown', 'ArrowUp', 'Home', 'End'].includes(event.key)) { event.preventDefault(); list.focus() }
    else if ((event.ctrlKey || event.metaKey) && event.key === 'v' && cut.paths.length && !el.contains(event.target)) keys(event)
  }
  addEventListener('keydown', finding)

  // --- the card, until a device has connected

  function greet() {
    if (remembered('connected') || session.me.connected || path) return
    replace(card, h('aside.card.connect-card', { 'aria-label': t('card.title') }, icon('connect'), h('div', h('strong', t('card.title')), h('p', t('card.text'))),
      h('a.button.primary', { href: '/connect' }, t('card.go')), tool('close', t('close'), () => { remember('connected', '1'); replace(card); list.focus() })))
  }

  const view = {
    el,
    title: '',
    /** @param {string} to */
    go(to) {
      const from = path
      path = to
      filter.value = ''
      view.title = base(to) || t('view.files')
      trail()
      replace(details)
      list.clear()
      bar()
      entries = []
      const into = from.startsWith(`${to}/`) || !to && from ? join(to, from.slice(to ? to.length + 1 : 0).split('/')[0]) : ''
      const before = el.isConnected
      load(into || undefined).then(() => { if (!into && before && !el.contains(document.activeElement)) list.focus() })
      if (el.isConnected) replace(card)
      tree?.show(to).catch(() => {})
      return true
    },
    leave() {
      left = true
      loading.abort()
      list.leave()
      clearInterval(looking)
      removeEventListener('paste', paste)
      removeEventListener('keydown', finding)
      removeEventListener('sarang:stored', stored)
    },
  }
  list.tiles(!!remembered('tiles'))
  view.go(ctx.path)
  await here
  greet()
  if (remembered('tree')) grow().catch(failed)
  if (session.me && remembered('uploads')) part('upload').then(({ remind }) => remind())
  return view
}

