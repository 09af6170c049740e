// Uploads a file with tus-js-client over a line that is cut again and again, and compares what arrived.
//
//   node cut.mjs http://127.0.0.1:PORT USER PASSWORD
//
// A proxy on loopback stands between client and server and destroys the connection after so many bytes, CUTS times.
import { createHash, randomBytes } from 'node:crypto'
import { createServer, connect } from 'node:net'
import { Upload } from 'tus-js-client'

const [address, user, password] = process.argv.slice(2)
const CUTS = 20
const SIZE = 48 << 20
const server = new URL(address)
const authorization = 'Basic ' + Buffer.from(`${user}:${password}`).toString('base64')
const headers = { Authorization: authorization }
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')
const fail = (why) => { console.error(`tus FAIL ${why}`); process.exit(1) }

let cuts = 0
const proxy = createServer((client) => {
  const upstream = connect(Number(server.port), server.hostname)
  let left = (1 << 20) + Math.floor(Math.random() * (2 << 20))
  const end = () => { client.destroy(); upstream.destroy() }
  client.on('data', (bytes) => {
    if (cuts < CUTS && bytes.length > left) {
      cuts += 1
      upstream.write(bytes.subarray(0, left))
      // Half of the lines hang at the server's side instead of ending.
      return cuts % 2 ? end() : client.destroy()
    }
    left -= bytes.length
    if (!upstream.write(bytes)) { client.pause(); upstream.once('drain', () => client.resume()) }
  })
  upstream.on('data', (bytes) => client.write(bytes))
  client.on('end', () => upstream.end())
  upstream.on('end', () => client.end())
  client.on('error', end)
  upstream.on('error', end)
})
await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve))

const content = randomBytes(SIZE)
const name = `${'fi le$%<>é'}-${process.pid}.bin`
await new Promise((resolve, reject) => {
  new Upload(content, {
    endpoint: `http://127.0.0.1:${proxy.address().port}/api/v1/uploads`,
    headers,
    metadata: { filename: name, filetype: 'application/octet-stream', modified: '1234567890000' },
    chunkSize: 8 << 20,
    uploadSize: SIZE,
    retryDelays: Array(10).fill(20),
    onError: reject,
    onSuccess: resolve,
  }).start()
}).catch((error) => fail(error.message))

const url = new URL(`/dav/${encodeURIComponent(name)}`, server)
const got = await fetch(url, { headers })
if (got.status !== 200) fail(`GET answered ${got.status}`)
if (sha256(Buffer.from(await got.arrayBuffer())) !== sha256(content)) fail('the content differs')
if (got.headers.get('last-modified') !== 'Fri, 13 Feb 2009 23:31:30 GMT') fail('the time differs')
if (cuts !== CUTS) fail(`the line was cut ${cuts} times, not ${CUTS}`)
await fetch(url, { method: 'DELETE', headers })
console.log(`tus PASS ${SIZE >> 20} MiB whole after ${cuts} cuts`)
process.exit(0)
