import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import {
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  connectivityState,
  Metadata,
  type MethodDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { TestkernelsError } from '../errors/index.ts'
import { describeEndpoint, type Endpoint } from './transport/endpoint.ts'

/** A method of a generated service, with the types of its messages. */
export type Method<I extends DescMessage, O extends DescMessage> = DescMethod & {
  readonly input: I
  readonly output: O
}

export function methodPath(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`
}

/** What grpc-js needs to know of a generated method. Messages we send may be given as plain initialisers. */
export function bindMethod<I extends DescMessage, O extends DescMessage>(
  method: Method<I, O>,
): MethodDefinition<MessageInitShape<I>, MessageInitShape<O>> & {
  readonly requestDeserialize: (bytes: Buffer) => MessageShape<I>
  readonly responseDeserialize: (bytes: Buffer) => MessageShape<O>
} {
  return {
    path: methodPath(method),
    requestStream: method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming',
    responseStream: method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming',
    requestSerialize: encodeWith(method.input),
    requestDeserialize: (bytes) => fromBinary(method.input, bytes),
    responseSerialize: encodeWith(method.output),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
  }
}

function encodeWith<D extends DescMessage>(desc: D): (message: MessageInitShape<D>) => Buffer {
  return (message) => {
    const bytes = toBinary(desc, create(desc, message))
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
}

export interface CallOptions {
  /** Cancels the call on both sides. */
  readonly signal?: AbortSignal | undefined
}

/** @throws ServiceError of grpc-js, also when the signal aborted: the caller knows what it was doing */
export function callUnary<I extends DescMessage, O extends DescMessage>(
  client: Client,
  method: Method<I, O>,
  request: MessageInitShape<I>,
  { signal, metadata = new Metadata() }: CallOptions & { readonly metadata?: Metadata } = {},
): Promise<MessageShape<O>> {
  const bound = bindMethod(method)
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const call = client.makeUnaryRequest(
      bound.path,
      bound.requestSerialize,
      bound.responseDeserialize,
      request,
      metadata,
      (error, response) => {
        signal?.removeEventListener('abort', cancel)
        if (error !== null) reject(error)
        else resolve(response as MessageShape<O>)
      },
    )
    const cancel = () => call.cancel()
    signal?.addEventListener('abort', cancel, { once: true })
  })
}

/** The responses in order. Leaving the loop early cancels the call. */
export async function* callServerStream<I extends DescMessage, O extends DescMessage>(
  client: Client,
  method: Method<I, O>,
  request: MessageInitShape<I>,
  { signal }: CallOptions = {},
): AsyncGenerator<MessageShape<O>, void, undefined> {
  signal?.throwIfAborted()
  const bound = bindMethod(method)
  const call: ClientReadableStream<MessageShape<O>> = client.makeServerStreamRequest(
    bound.path,
    bound.requestSerialize,
    bound.responseDeserialize,
    request,
  )
  const cancel = () => call.cancel()
  signal?.addEventListener('abort', cancel, { once: true })
  try {
    for await (const response of call) yield response as MessageShape<O>
  } finally {
    signal?.removeEventListener('abort', cancel)
    // A cancelled call reports that as an error event, which nobody is left to hear.
    call.on('error', () => {})
    call.cancel()
  }
}

export function openDuplex<I extends DescMessage, O extends DescMessage>(
  client: Client,
  method: Method<I, O>,
  metadata: Metadata,
): ClientDuplexStream<MessageInitShape<I>, MessageShape<O>> {
  const bound = bindMethod(method)
  return client.makeBidiStreamRequest(bound.path, bound.requestSerialize, bound.responseDeserialize, metadata)
}

/** No BuildKit answered at the endpoint. */
export class BuildkitUnreachableError extends TestkernelsError {
  readonly code = 'BUILDKIT_UNREACHABLE'
}

/** The connection to the engine ended while it worked for us. */
export class EngineGoneError extends TestkernelsError {
  readonly code = 'ENGINE_GONE'

  constructor(cause: unknown) {
    super({
      what: 'the connection to the engine ended before it answered',
      cause,
      remedy:
        "see whether the engine runs, and its log for why it stopped: journalctl -u docker, or the engine's container",
    })
  }
}

/** This engine's BuildKit does not know what was asked of it. */
export class BuildkitUnsupportedError extends TestkernelsError {
  readonly code = 'BUILDKIT_UNSUPPORTED'
}

export function unreachable(endpoint: Endpoint, cause: unknown): BuildkitUnreachableError {
  return new BuildkitUnreachableError({
    what: `no BuildKit answers for ${describeEndpoint(endpoint)}`,
    cause,
    remedy: remedyFor(endpoint, cause),
  })
}

function remedyFor(endpoint: Endpoint, cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'EACCES') return 'join the group that owns the socket (usually docker), or run as root'
  if (code === 'ENOENT' || code === 'ECONNREFUSED')
    return endpoint.kind === 'docker'
      ? 'start the engine: systemctl start docker'
      : 'start buildkitd, or correct BUILDKIT_HOST'
  return endpoint.kind === 'docker'
    ? 'use an engine from 20.10 on that has BuildKit, or name a buildkitd in BUILDKIT_HOST'
    : 'check the address, and for TLS the certificates and the server name'
}

export function isServiceError(thrown: unknown): thrown is ServiceError {
  return thrown instanceof Error && 'code' in thrown && 'details' in thrown && 'metadata' in thrown
}

/** Our error for a call that failed because of the connection or the engine, and not because of what it asked for. */
export function explainCallFailure(client: Client, thrown: unknown): TestkernelsError | undefined {
  if (!isServiceError(thrown)) return undefined
  // The engine itself may say "unavailable" too, of a registry; then the connection is still there.
  if (thrown.code === status.UNAVAILABLE && client.getChannel().getConnectivityState(false) !== connectivityState.READY)
    return new EngineGoneError(thrown)
  if (thrown.code === status.UNIMPLEMENTED)
    return new BuildkitUnsupportedError({
      what: "the engine's BuildKit does not know this call",
      cause: thrown,
      remedy: 'use a newer engine (Docker 20.10 is the oldest that works), or leave out what it does not know',
    })
  return undefined
}
