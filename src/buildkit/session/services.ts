import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import {
  type Metadata,
  type Server,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type StatusObject,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { reasonOf } from '../../errors/index.ts'
import { bindMethod, type Method, methodPath } from '../grpc.ts'
import { send } from './message-stream.ts'

/** Something this machine offers to a solve: files, secrets, credentials, a directory for results. */
export interface Attachable {
  /**
   * Goes into the key under which the engine keeps what a session sent, so that the next one sends only changes. Two
   * sources that differ must give two keys.
   */
  sharedKey?(): Promise<string>
  register(services: SessionServices): void
}

/** A stream of messages in both directions: of one type, or of one for each. */
export type MessageStream<I extends DescMessage, O extends DescMessage = I> = ServerDuplexStream<
  MessageShape<I>,
  MessageInitShape<O>
>

/** What a stream of either kind has for whoever ends it. */
type ServerStream = Pick<ServerDuplexStream<unknown, unknown>, 'cancelled' | 'emit'> & { end(): unknown }

/** The gRPC services of one session. In a session we are the server, and the engine calls. */
export class SessionServices {
  /** What went wrong here while serving; the engine tells only a text of it. */
  readonly failures: Error[] = []
  readonly #server: Server
  readonly #paths: string[] = []

  constructor(server: Server) {
    this.#server = server
  }

  /** Paths of all methods served. The engine must be told: it asks only for these. */
  get paths(): readonly string[] {
    return this.#paths
  }

  unary<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    answer: (request: MessageShape<I>, metadata: Metadata) => MessageInitShape<O> | Promise<MessageInitShape<O>>,
  ): void {
    const { path, requestDeserialize, responseSerialize } = bindMethod(method)
    const handle = async (
      { request, metadata }: ServerUnaryCall<MessageShape<I>, MessageInitShape<O>>,
      callback: sendUnaryData<MessageInitShape<O>>,
    ) => {
      try {
        callback(null, await answer(request, metadata))
      } catch (error) {
        callback(this.#failed(error))
      }
    }
    this.#added(path, this.#server.register(path, handle, responseSerialize, requestDeserialize, 'unary'))
  }

  /** One request, answered by any number of messages. */
  serverStream<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    answer: (request: MessageShape<I>, metadata: Metadata) => AsyncIterable<MessageInitShape<O>>,
  ): void {
    const { path, requestDeserialize, responseSerialize } = bindMethod(method)
    const handle = (stream: ServerWritableStream<MessageShape<I>, MessageInitShape<O>>) =>
      this.#serve(stream, async () => {
        for await (const message of answer(stream.request, stream.metadata)) await send(stream, message)
      })
    this.#added(path, this.#server.register(path, handle, responseSerialize, requestDeserialize, 'serverStream'))
  }

  duplex<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    serve: (stream: MessageStream<I, O>, metadata: Metadata) => Promise<void>,
  ): void {
    const { path, requestDeserialize, responseSerialize } = bindMethod(method)
    const handle = (stream: MessageStream<I, O>) => this.#serve(stream, () => serve(stream, stream.metadata))
    this.#added(path, this.#server.register(path, handle, responseSerialize, requestDeserialize, 'bidi'))
  }

  /**
   * As `duplex`, bound by the message that both sides send and not by the method: BuildKit sends more than one type through
   * FileSend.
   */
  stream<D extends DescMessage>(
    method: Parameters<typeof methodPath>[0],
    message: D,
    serve: (stream: MessageStream<D>, metadata: Metadata) => Promise<void>,
  ): void {
    const encode = (value: MessageInitShape<D>) => Buffer.from(toBinary(message, create(message, value)))
    const decode = (bytes: Buffer) => fromBinary(message, bytes)
    const handle = (stream: MessageStream<D>) => this.#serve(stream, () => serve(stream, stream.metadata))
    const path = methodPath(method)
    this.#added(path, this.#server.register(path, handle, encode, decode, 'bidi'))
  }

  /** Ends the stream when the work is done, or with what came of it. */
  async #serve(stream: ServerStream, work: () => Promise<void>): Promise<void> {
    try {
      await work()
      stream.end()
    } catch (error) {
      if (!stream.cancelled) stream.emit('error', this.#failed(error))
    }
  }

  #added(path: string, isNew: boolean): void {
    if (!isNew) throw new TypeError(`two attachables of one session serve ${path}`)
    this.#paths.push(path)
  }

  #failed(thrown: unknown): Partial<StatusObject> {
    if (thrown instanceof Refusal) return { code: thrown.code, details: thrown.message }
    this.failures.push(thrown instanceof Error ? thrown : new Error(reasonOf(thrown)))
    return { code: status.UNKNOWN, details: reasonOf(thrown) }
  }
}

/** An answer, not a failure: the engine asked for what cannot be had, and the protocol has a code for that. */
export class Refusal extends Error {
  readonly code: status

  constructor(code: status, message: string) {
    super(message)
    this.code = code
  }
}

/** The engine asked for something that this session does not have. */
export class NotFound extends Refusal {
  constructor(message: string) {
    super(status.NOT_FOUND, message)
  }
}
