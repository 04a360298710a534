import { Duplex } from 'node:stream'
import type { ClientDuplexStream } from '@grpc/grpc-js'

interface Bytes {
  readonly data?: Uint8Array
}

/** A connection inside a gRPC stream: bytes go as messages, with back pressure in both directions. */
export function tunnel(call: ClientDuplexStream<Bytes, Bytes>): Duplex {
  const write = (data: Uint8Array, done: () => void) => {
    if (call.write({ data })) done()
    else call.once('drain', done)
  }
  const connection = new Duplex({
    read: () => call.resume(),
    write: (chunk: Buffer, _encoding, done) => write(chunk, done),
    // HTTP/2 writes the header of each frame by itself; a message for every nine bytes would be the larger part of the work.
    writev: (chunks, done) => write(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer)), done),
    final: (done) => {
      call.end()
      done()
    },
    destroy: (error, done) => {
      call.cancel()
      done(error)
    },
  })
  call.on('data', ({ data }: Bytes) => {
    if (data !== undefined && !connection.push(data)) call.pause()
  })
  call.on('end', () => connection.push(null))
  // The end of a session always looks like an error to the stream; whoever waits for the solve gets the real one.
  call.on('error', () => connection.destroy())
  return connection
}
