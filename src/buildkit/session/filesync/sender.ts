import { open } from 'node:fs/promises'
import { type PacketSchema, PacketType } from '../../gen/fsutil_pb.ts'
import { messages, send } from '../message-stream.ts'
import type { MessageStream } from '../services.ts'
import { kindOf } from './mode.ts'
import { type Entry, type WalkOptions, walk } from './walk.ts'

export type PacketStream = MessageStream<typeof PacketSchema>

const CHUNK_BYTES = 32 * 1024

/**
 * The sending side of fsutil's DiffCopy: tells of all there is, sends the files that the other side asks for, and ends when
 * it says so. A file is known by its place among all that was told.
 */
export async function sendDirectory(stream: PacketStream, root: string, options: WalkOptions): Promise<void> {
  const told: Entry[] = []
  await Promise.all([tell(stream, walk(root, options), told), answer(stream, told)])
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

async function answer(stream: PacketStream, told: readonly Entry[]): Promise<void> {
  for await (const packet of messages(stream)) {
    switch (packet.type) {
      case PacketType.PACKET_REQ: {
        const entry = told[packet.id]
        if (entry === undefined || kindOf(entry.mode) !== 'file')
          throw new Error(`the engine asked for file ${packet.id}, which it was not told of`)
        await sendFile(stream, packet.id, entry.absolutePath)
        break
      }
      case PacketType.PACKET_FIN:
        await send(stream, { type: PacketType.PACKET_FIN })
        return
      case PacketType.PACKET_ERR:
        throw new Error(`the engine could not take the files: ${new TextDecoder().decode(packet.data)}`)
    }
  }
}

async function sendFile(stream: PacketStream, id: number, path: string): Promise<void> {
  const file = await open(path)
  try {
    for (;;) {
      // A buffer of its own for each chunk: the stream may keep it.
      const { bytesRead, buffer } = await file.read({ buffer: Buffer.allocUnsafe(CHUNK_BYTES) })
      await send(stream, { type: PacketType.PACKET_DATA, id, data: buffer.subarray(0, bytesRead) })
      if (bytesRead === 0) return
    }
  } finally {
    await file.close()
  }
}
