import { randomBytes } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { BytesMessageSchema } from '../gen/control_pb.ts'
import { FileSend } from '../gen/filesync_pb.ts'
import { PacketSchema } from '../gen/fsutil_pb.ts'
import { messages, TransferError } from '../session/message-stream.ts'
import { receiveDirectory } from '../session/receive-directory.ts'
import type { Attachable, MessageStream } from '../session/services.ts'

/** What becomes of the result of a solve. */
export interface Exporter {
  readonly type: string
  readonly attrs: Readonly<Record<string, string>>
  /** Receives the result here, for the exporters that send it back. */
  readonly attachable?: Attachable
}

export interface ImageExport {
  /** Names for the image, such as `app:1`. Without any it has only its digest. */
  readonly names?: readonly string[]
}

/** Into the store of the Docker engine. `containerimage.digest` in the response is the image's id. */
export function moby({ names = [] }: ImageExport = {}): Exporter {
  return { type: 'moby', attrs: nameAttr(names) }
}

/** Into the image store of a buildkitd, and from there to the registry of its names. */
export function image({ names = [], push = 'no' }: ImageExport & { readonly push?: 'yes' | 'no' } = {}): Exporter {
  return { type: 'image', attrs: { ...nameAttr(names), ...(push === 'yes' ? { push: 'true' } : {}) } }
}

/** As an archive for `docker load`, from a buildkitd. */
export function docker({ names = [], to }: ImageExport & { readonly to: string | Writable }): Exporter {
  return { type: 'docker', attrs: nameAttr(names), attachable: streamTarget(to) }
}

/** Into a directory of this machine, which is made if need be. What is there already stays. */
export function local({ directory }: { readonly directory: string }): Exporter {
  return { type: 'local', attrs: {}, attachable: directoryTarget(directory) }
}

/** As a tar of the file system: into a file, which appears when it is complete, or a stream, which is ended. */
export function tar({ to }: { readonly to: string | Writable }): Exporter {
  return { type: 'tar', attrs: {}, attachable: streamTarget(to) }
}

function nameAttr(names: readonly string[]): Record<string, string> {
  return names.length === 0 ? {} : { name: names.join(',') }
}

/** Takes what the `local` exporter sends into a directory. */
function directoryTarget(directory: string): Attachable {
  return {
    register: (services) =>
      services.stream(FileSend.method.diffCopy, PacketSchema, (stream) => receiveDirectory(stream, directory)),
  }
}

/** Takes the one stream that the `tar` exporter sends. A file has its name only when it is complete. */
function streamTarget(target: string | Writable): Attachable {
  return {
    register: (services) =>
      services.stream(FileSend.method.diffCopy, BytesMessageSchema, (stream) =>
        typeof target === 'string' ? receiveFile(stream, target) : receiveStream(stream, target),
      ),
  }
}

type BytesStream = MessageStream<typeof BytesMessageSchema>

async function receiveFile(stream: BytesStream, path: string): Promise<void> {
  const partial = `${path}.partial-${randomBytes(4).toString('hex')}`
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
