import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf'
import type { MethodDefinition } from '@grpc/grpc-js'

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
