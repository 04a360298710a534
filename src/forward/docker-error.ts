import type { Socket } from 'node:net'
import { reasonOf } from '../errors/index.ts'
import type { Exchange } from './exchange.ts'

/** An error as dockerd itself would send it, which docker clients print as "Error response from daemon: ...". */
export function dockerErrorResponse(reason: unknown, method: string | undefined): string {
  const body = `${JSON.stringify({ message: reasonOf(reason) })}\n`
  const head = [
    'HTTP/1.1 500 Internal Server Error',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  // Bytes after the answer to a HEAD request would count as an answer that nobody asked for.
  return `${head.join('\r\n')}\r\n\r\n${method === 'HEAD' ? '' : body}`
}

/**
 * Answers the request that the client has sent, or else its next one, with the reason. What the client goes on sending is
 * read and dropped: a client that cannot write never reads the answer.
 */
export function answerWithReason(socket: Socket, reason: unknown, exchange: Exchange): void {
  const answer = () => {
    socket.end(dockerErrorResponse(reason, exchange.method))
    socket.resume()
  }
  if (!exchange.silent) {
    answer()
    return
  }
  socket.once('data', (chunk: Buffer) => {
    exchange.fromClient(chunk)
    answer()
  })
  socket.once('end', () => socket.end())
  socket.resume()
}
