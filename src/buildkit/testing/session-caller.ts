import { connect } from 'node:http2'
import { Duplex } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import type { ServerDuplexStream } from '@grpc/grpc-js'
import type { BytesMessage } from '../gen/control_pb.ts'
import { type Method, methodPath } from '../grpc/method.ts'

export type SessionCall = ServerDuplexStream<BytesMessage, { data: Uint8Array }>

/** Calls the session behind a `Control.Session` stream the way BuildKit does: HTTP/2 inside the stream. */
export class SessionCaller {
  readonly #client: ReturnType<typeof connect>

  constructor(call: SessionCall) {
    this.#client = connect('http://session', { createConnection: () => connectionIn(call) })
    this.#client.on('error', () => {})
  }

  /** A unary call, without the help of any gRPC library. */
  async call<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>> {
    const headers = {
      ':method': 'POST',
      ':path': methodPath(method),
      'content-type': 'application/grpc',
      te: 'trailers',
    }
    const stream = this.#client.request(headers)
    const body = toBinary(method.input, create(method.input, request))
    const prefix = Buffer.alloc(5)
    prefix.writeUInt32BE(body.byteLength, 1)
    stream.end(Buffer.concat([prefix, body]))
    let status = {}
    const listen = (received: Record<string, unknown>) => {
      if ('grpc-status' in received) status = received
    }
    stream.on('response', listen)
    stream.on('trailers', listen)
    const response = await buffer(stream)
    const { 'grpc-status': code, 'grpc-message': message } = status as Record<string, unknown>
    if (String(code) !== '0') throw new Error(`${method.name}: ${code} ${decodeURIComponent(String(message))}`)
    return fromBinary(method.output, response.subarray(5))
  }
}

function connectionIn(call: SessionCall): Duplex {
  const connection = new Duplex({
    read: () => {},
    write: (data: Buffer, _encoding, done) => {
      call.write({ data })
      done()
    },
  })
  call.on('data', ({ data }: BytesMessage) => connection.push(data))
  call.on('end', () => connection.push(null))
  return connection
}
