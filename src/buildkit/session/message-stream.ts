import type { EventEmitter } from 'node:events'
import type { ServerReadableStream } from '@grpc/grpc-js'
import { TestkernelsError } from '../../errors/index.ts'

/** The writing half of a stream, by the messages it takes. */
interface MessageSink<T> extends Pick<EventEmitter, 'on' | 'off'> {
  write(message: T): boolean
  readonly cancelled: boolean
  readonly destroyed: boolean
}

/** Writes one message, and waits while the other side is slow. */
export async function send<T>(stream: MessageSink<T>, message: T): Promise<void> {
  if (stream.write(message)) return
  await new Promise<void>((resolve, reject) => {
    const drained = () => settle(resolve)
    const ended = () => settle(() => reject(new TransferError('the engine ended the transfer')))
    const settle = (then: () => void) => {
      stream.off('drain', drained)
      stream.off('cancelled', ended)
      stream.off('close', ended)
      then()
    }
    stream.on('drain', drained)
    stream.on('cancelled', ended)
    stream.on('close', ended)
    if (stream.cancelled || stream.destroyed) ended()
  })
}

/** The messages of the other side. Leaving the loop early leaves the stream open for what is still to be sent. */
export function messages<T>(stream: ServerReadableStream<T, unknown>): AsyncIterable<T> {
  return stream.iterator({ destroyOnReturn: false })
}

/** Files could not be sent to the engine, or taken from it. */
export class TransferError extends TestkernelsError {
  readonly code = 'TRANSFER_FAILED'

  constructor(what: string) {
    super({ what, remedy: "look into the engine's log for the reason, and build again" })
  }
}
