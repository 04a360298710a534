import { Duplex } from 'node:stream'
import type { ClientDuplexStream } from '@grpc/grpc-js'

interface Bytes {
  readonly data?: Uint8Array
}

/** A connection inside a gRPC stream: bytes go as messages, with back pressure in both directions. */
export function tunnel(call: ClientDuplexStream<Bytes, Bytes>): Duplex {
  const connection = new Duplex({
    read: () => call.resume(),
    write: (chunk: Buffer, _encoding, done) => {
      if (call.write({ data: chunk })) done()
      else call.once('drain', done)
    },
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
