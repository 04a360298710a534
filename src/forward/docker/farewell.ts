import type { Socket } from 'node:net'
import { reasonOf } from '../../errors/index.ts'
import type { Exchange } from './exchange.ts'

/**
 * Tells a client why nothing more comes, in the answer to its request, or else to its next one, and ends the connection.
 * Where neither is possible, the connection just ends.
 */
export function farewell(socket: Socket, reason: unknown, exchange: Exchange): void {
  if (exchange.awaiting) answer(socket, reason, exchange)
  else if (exchange.silent) answerNext(socket, reason, exchange)
  else {
    socket.write(errorEnd(reason, exchange) ?? '')
    socket.destroySoon()
  }
}

function answerNext(socket: Socket, reason: unknown, exchange: Exchange): void {
  socket.once('data', (piece: Buffer) => {
    exchange.fromClient(piece)
    answer(socket, reason, exchange)
  })
  socket.once('end', () => socket.end())
  socket.resume()
}

function answer(socket: Socket, reason: unknown, exchange: Exchange): void {
  socket.end(errorAnswer(reason, exchange))
  // A client that cannot write on never reads the answer: what it sends is read and dropped.
  socket.resume()
}

/**
 * Answers of which dockerd sends the head at once and the end much later, and how each of them tells of a failure. Without
 * such an end `docker run` says "unexpected EOF" of a kernel that panicked.
 */
const lateFailures: readonly { target: RegExp; failure: (message: string) => object }[] = [
  {
    target: /\/containers\/[^/]+\/wait(\?|$)/,
    // 125 is how docker says that it failed itself, and not the container.
    failure: (message) => ({ StatusCode: 125, Error: { Message: message } }),
  },
  {
    target: /\/(build|images\/create|images\/load|images\/.+\/push)(\?|$)/,
    failure: (message) => ({ errorDetail: { message }, error: message }),
  },
]

/** An error as dockerd itself would send it, which docker clients print as "Error response from daemon: ...". */
function errorAnswer(reason: unknown, exchange: Exchange): string {
  const body = `${JSON.stringify({ message: reasonOf(reason) })}\n`
  const head = [
    'HTTP/1.1 500 Internal Server Error',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  // Bytes after the answer to a HEAD request would count as an answer that nobody asked for.
  return `${head.join('\r\n')}\r\n\r\n${exchange.request?.method === 'HEAD' ? '' : body}`
}

/** The end of an answer that has begun, with the reason in it; undefined where no such end can be told. */
function errorEnd(reason: unknown, exchange: Exchange): string | undefined {
  const target = exchange.request?.target ?? ''
  const late = lateFailures.find((candidate) => candidate.target.test(target))
  if (late === undefined || !exchange.extensible) return undefined
  const body = `${JSON.stringify(late.failure(reasonOf(reason)))}\r\n`
  return `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n0\r\n\r\n`
}
