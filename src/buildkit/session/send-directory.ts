import { constants } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { type PacketSchema, PacketType } from '../gen/fsutil_pb.ts'
import { messages, send, TransferError } from './message-stream.ts'
import type { MessageStream } from './services.ts'
import { type Entry, kindOf, type WalkOptions, walk } from './walk.ts'
import { openWithin } from './within.ts'

export type PacketStream = MessageStream<typeof PacketSchema>

const CHUNK_BYTES = 32 * 1024
const FILES_AT_ONCE = 4

/**
 * The sending side of fsutil's DiffCopy: tells of all there is, sends the files that the other side asks for, and ends when
 * it says so. A file is known by its number among all that was told.
 */
export async function sendDirectory(stream: PacketStream, root: string, options: WalkOptions): Promise<void> {
  const told: Entry[] = []
  const realRoot = await realpath(root)
  const lanes = new Lanes(FILES_AT_ONCE)
  const transfer = Promise.all([
    tell(stream, walk(root, options), told),
    answer(stream, { told, root: realRoot, lanes }),
  ])
  // The engine waits for ever for a file that cannot be read.
  await Promise.race([transfer, lanes.failed])
}

async function tell(stream: PacketStream, entries: AsyncIterable<Entry>, told: Entry[]): Promise<void> {
  for await (const entry of entries) {
    told.push(entry)
    const { path, mode, size, modTimeNs: modTime, linkname } = entry
    // Owners of this machine mean nothing in the image: everything is root's, as with `docker build`.
    await send(stream, { type: PacketType.PACKET_STAT, stat: { path, mode, uid: 0, gid: 0, size, modTime, linkname } })
  }
  await send(stream, { type: PacketType.PACKET_STAT })
}

interface Answering {
  readonly told: readonly Entry[]
  readonly root: string
  readonly lanes: Lanes
}

async function answer(stream: PacketStream, { told, root, lanes }: Answering): Promise<void> {
  for await (const { type, id, data } of messages(stream)) {
    if (type === PacketType.PACKET_FIN) break
    if (type === PacketType.PACKET_ERR)
      throw new TransferError(`the engine could not take the files: ${new TextDecoder().decode(data)}`)
    if (type !== PacketType.PACKET_REQ) continue
    const entry = told[id]
    if (entry === undefined || kindOf(entry.mode) !== 'file')
      throw new TransferError(`the engine asked for file ${id}, which it was not told of`)
    await lanes.start(() => sendFile(stream, { id, root, ...entry }))
  }
  await lanes.drain()
  await send(stream, { type: PacketType.PACKET_FIN })
}

/** An empty chunk ends a file. What is told is what is sent: a file that became a link meanwhile may lead to what is no part of it. */
async function sendFile(
  stream: PacketStream,
  { id, root, path, size }: Entry & { readonly id: number; readonly root: string },
): Promise<void> {
  // One byte more than there is: a read that does not fill it has met the end.
  const chunkBytes = Math.min(CHUNK_BYTES, Number(size) + 1)
  const file = await openWithin(root, path, constants.O_RDONLY)
  try {
    if (!(await file.stat()).isFile()) throw new TransferError(`${JSON.stringify(path)} is no file any more`)
    for (let isAtEnd = false; !isAtEnd; ) {
      // A buffer of its own for each chunk: the stream may keep it.
      const { bytesRead, buffer } = await file.read({ buffer: Buffer.allocUnsafe(chunkBytes) })
      isAtEnd = bytesRead < chunkBytes
      if (bytesRead > 0) await sendChunk(stream, id, buffer.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
  await sendChunk(stream, id, new Uint8Array())
}

function sendChunk(stream: PacketStream, id: number, data: Uint8Array): Promise<void> {
  return send(stream, { type: PacketType.PACKET_DATA, id, data })
}

/** Runs jobs side by side, no more than so many at once. */
export class Lanes {
  /** Rejects with the first failure of a job; never resolves. */
  readonly failed: Promise<never>
  readonly #count: number
  readonly #running = new Set<Promise<void>>()
  #fail: (reason: unknown) => void = () => {}

  constructor(count: number) {
    this.#count = count
    this.failed = new Promise((_resolve, reject) => {
      this.#fail = reject
    })
    this.failed.catch(() => {})
  }

  /** Resolves when the job has begun. */
  async start(job: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#count) await Promise.race(this.#running)
    const running = job()
      .catch(this.#fail)
      .finally(() => this.#running.delete(running))
    this.#running.add(running)
  }

  async drain(): Promise<void> {
    await Promise.all(this.#running)
  }
}
