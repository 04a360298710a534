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
  type StatusObject,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { reasonOf } from '../../errors/index.ts'
import { bindMethod, type Method, methodPath } from '../grpc/method.ts'

/** A stream of one type of message in both directions. */
export type MessageStream<D extends DescMessage> = ServerDuplexStream<MessageShape<D>, MessageInitShape<D>>

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
    answer: (request: MessageShape<I>) => MessageInitShape<O> | Promise<MessageInitShape<O>>,
  ): void {
    const { path, requestDeserialize, responseSerialize } = bindMethod(method)
    const handle = async (
      { request }: ServerUnaryCall<MessageShape<I>, MessageInitShape<O>>,
      callback: sendUnaryData<MessageInitShape<O>>,
    ) => {
      try {
        callback(null, await answer(request))
      } catch (error) {
        callback(this.#failed(error))
      }
    }
    this.#added(path, this.#server.register(path, handle, responseSerialize, requestDeserialize, 'unary'))
  }

  /**
   * Streams are bound by the message they carry, and not by the method: BuildKit sends more than one type through
   * FileSend.
   */
  stream<D extends DescMessage>(
    method: Parameters<typeof methodPath>[0],
    message: D,
    serve: (stream: MessageStream<D>, metadata: Metadata) => Promise<void>,
  ): void {
    const encode = (value: MessageInitShape<D>) => Buffer.from(toBinary(message, create(message, value)))
    const decode = (bytes: Buffer) => fromBinary(message, bytes)
    const handle = async (stream: MessageStream<D>) => {
      try {
        await serve(stream, stream.metadata)
        stream.end()
      } catch (error) {
        if (!stream.cancelled) stream.emit('error', this.#failed(error))
      }
    }
    const path = methodPath(method)
    this.#added(path, this.#server.register(path, handle, encode, decode, 'bidi'))
  }

  #added(path: string, isNew: boolean): void {
    if (!isNew) throw new TypeError(`two attachables of one session serve ${path}`)
    this.#paths.push(path)
  }

  #failed(thrown: unknown): Partial<StatusObject> {
    if (thrown instanceof NotFound) return { code: status.NOT_FOUND, details: thrown.message }
    this.failures.push(thrown instanceof Error ? thrown : new Error(reasonOf(thrown)))
    return { code: status.UNKNOWN, details: reasonOf(thrown) }
  }
}

/** An answer, not a failure: the engine asked for something that this session does not have. */
export class NotFound extends Error {}
