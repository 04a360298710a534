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
  Metadata,
  type MethodDefinition,
} from '@grpc/grpc-js'

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
