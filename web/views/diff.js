// Where two texts differ, line by line.

/** Beyond so many pairs of lines what differs is one piece, from the first difference to the last. */
const MOST = 4_000_000

/**
 * @param {string} one @param {string} other
 * @returns {{ line: number, one: string[], other: string[] }[]} pieces: the line of the first text they begin at, counted from 1, and the lines of each
 */
export function differences(one, other) {
  const a = one.split('\n')
  const b = other.split('\n')
  let start = 0
  while (start < a.length && start < b.length && a[start] === b[start]) start++
  let [n, m] = [a.length, b.length]
  while (n > start && m > start && a[n - 1] === b[m - 1]) { n--; m-- }
  if (start === n && start === m) return []
  const wide = m - start + 1
  const cells = (n - start + 1) * wide
  if (cells > MOST) return [{ line: start + 1, one: a.slice(start, n), other: b.slice(start, m) }]
  // How many lines the rests of both texts have in common, at the most.
  const common = new Uint32Array(cells)
  const at = (/** @type {number} */ i, /** @type {number} */ j) => (i - start) * wide + j - start
  for (let i = n - 1; i >= start; i--) {
    for (let j = m - 1; j >= start; j--) common[at(i, j)] = a[i] === b[j] ? common[at(i + 1, j + 1)] + 1 : Math.max(common[at(i + 1, j)], common[at(i, j + 1)])
  }
  const found = []
  let piece = null
  for (let i = start, j = start; i < n || j < m;) {
    if (i < n && j < m && a[i] === b[j]) { piece = null; i++; j++; continue }
    if (!piece) found.push(piece = { line: i + 1, one: /** @type {string[]} */ ([]), other: /** @type {string[]} */ ([]) })
    if (i < n && (j === m || common[at(i + 1, j)] >= common[at(i, j + 1)])) piece.one.push(a[i++])
    else piece.other.push(b[j++])
  }
  return found
}
