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
import { type Method, methodPath } from '../grpc.ts'

/** In front of each message: whether it is compressed, and its length. */
const PREFIX_BYTES = 5

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
    const response = await this.#exchange(method, [toBinary(method.input, create(method.input, request))])
    return fromBinary(method.output, response.subarray(PREFIX_BYTES))
  }

  /** Messages on a stream, on which nothing comes back. */
  async send<D extends DescMessage>(
    method: Parameters<typeof methodPath>[0],
    message: D,
    values: readonly MessageInitShape<D>[],
  ): Promise<void> {
    const bodies = values.map((value) => toBinary(message, create(message, value)))
    await this.#exchange(method, bodies)
  }

  async #exchange(method: Parameters<typeof methodPath>[0], bodies: readonly Uint8Array[]): Promise<Buffer> {
    const headers = {
      ':method': 'POST',
      ':path': methodPath(method),
      'content-type': 'application/grpc',
      te: 'trailers',
    }
    const stream = this.#client.request(headers)
    const frames = bodies.flatMap((body) => {
      const prefix = Buffer.alloc(PREFIX_BYTES)
      prefix.writeUInt32BE(body.byteLength, 1)
      return [prefix, body]
    })
    stream.end(Buffer.concat(frames))
    let status = {}
    const listen = (received: Record<string, unknown>) => {
      if ('grpc-status' in received) status = received
    }
    stream.on('response', listen)
    stream.on('trailers', listen)
    const response = await buffer(stream)
    const { 'grpc-status': code, 'grpc-message': text } = status as Record<string, unknown>
    if (String(code) !== '0') throw new Error(`${method.name}: ${code} ${decodeURIComponent(String(text))}`)
    return response
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
