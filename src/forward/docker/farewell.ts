import type { Socket } from 'node:net'
import { errorAnswer, errorEnd } from './docker-error.ts'
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
