// pour.mjs SOCKET [PATH]: sends standard input to a unix socket, as the body of a request for a path or as it is. Prints how many MB a second
// were taken, and ends when the other end has said all that it has to say.
import { request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'

const [, , socketPath, path] = process.argv
const from = performance.now()
let bytes = 0
const counted = async function* (source) {
  for await (const piece of source) {
    bytes += piece.length
    yield piece
  }
}
if (path) {
  const asked = request({ socketPath, path, method: 'POST', agent: false })
  const answered = new Promise((resolve, reject) => asked.once('response', resolve).once('error', reject))
  await pipeline(process.stdin, counted, asked)
  report()
  const said = await text(await answered)
  if (!said.includes('Loaded image')) throw new Error(said)
} else {
  const connection = connect({ path: socketPath, allowHalfOpen: true })
  const ended = new Promise((resolve) => connection.resume().once('end', resolve))
  await pipeline(process.stdin, counted, connection)
  await ended
  report()
}

function report() {
  console.log(bytes / 1e3 / (performance.now() - from))
}
