import { createWriteStream } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { BytesMessageSchema } from '../../gen/control_pb.ts'
import { FileSend } from '../../gen/filesync_pb.ts'
import { PacketSchema } from '../../gen/fsutil_pb.ts'
import type { Attachable } from '../attachable.ts'
import { messages } from '../message-stream.ts'
import type { MessageStream } from '../services.ts'
import { TransferError } from '../transfer-error.ts'
import { receiveDirectory } from './receiver.ts'

/** Takes what the `local` exporter sends into a directory. */
export function directoryTarget(directory: string): Attachable {
  return {
    register: (services) =>
      services.stream(FileSend.method.diffCopy, PacketSchema, (stream) => receiveDirectory(stream, directory)),
  }
}

/** Takes the one stream that the `tar` exporter sends. A file has its name only when it is complete. */
export function streamTarget(target: string | Writable): Attachable {
  return {
    register: (services) =>
      services.stream(FileSend.method.diffCopy, BytesMessageSchema, (stream) =>
        typeof target === 'string' ? receiveFile(stream, target) : receiveStream(stream, target),
      ),
  }
}

type BytesStream = MessageStream<typeof BytesMessageSchema>

async function receiveFile(stream: BytesStream, path: string): Promise<void> {
  const partial = `${path}.partial-${process.pid}`
  try {
    await mkdir(dirname(path), { recursive: true })
    await receiveStream(stream, createWriteStream(partial))
    await rename(partial, path)
  } finally {
    await rm(partial, { force: true })
  }
}

async function receiveStream(stream: BytesStream, target: Writable): Promise<void> {
  await pipeline(bytes(stream), target)
}

async function* bytes(stream: BytesStream): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const { data } of messages(stream)) yield data
  if (stream.cancelled) throw new TransferError('the transfer ended early')
}
