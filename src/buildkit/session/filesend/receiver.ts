import { type FileHandle, open } from 'node:fs/promises'
import { type Packet, type PacketSchema, PacketType, type Stat } from '../../gen/fsutil_pb.ts'
import { messages, send } from '../message-stream.ts'
import type { MessageStream } from '../services.ts'
import { TransferError } from '../transfer-error.ts'
import { Destination } from './destination.ts'

type PacketStream = MessageStream<typeof PacketSchema>

/**
 * The receiving side of fsutil's DiffCopy: asks for every file it is told of, writes what comes, and says when it has all.
 * What is in the directory already and not in the transfer stays.
 */
export async function receiveDirectory(stream: PacketStream, directory: string): Promise<void> {
  const receiver = new Receiver(stream, await Destination.open(directory))
  try {
    for await (const packet of messages(stream)) {
      if (packet.type === PacketType.PACKET_FIN) break
      await receiver.take(packet)
    }
    if (!receiver.isComplete) throw new TransferError('the transfer ended early')
  } finally {
    await receiver.close()
  }
}

class Receiver {
  readonly #stream: PacketStream
  readonly #destination: Destination
  /** Files whose content is still to come, by their number among all that was told. */
  readonly #awaited = new Map<number, { stat: Stat; path: string; file?: FileHandle }>()
  #told = 0
  #isToldAll = false

  constructor(stream: PacketStream, destination: Destination) {
    this.#stream = stream
    this.#destination = destination
  }

  get isComplete(): boolean {
    return this.#isToldAll && this.#awaited.size === 0
  }

  async take({ type, stat, id, data }: Packet): Promise<void> {
    if (type === PacketType.PACKET_ERR)
      throw new TransferError(`the engine could not send the files: ${new TextDecoder().decode(data)}`)
    if (type === PacketType.PACKET_STAT && stat !== undefined) await this.#stat(stat)
    else if (type === PacketType.PACKET_STAT) this.#isToldAll = true
    else if (type === PacketType.PACKET_DATA) await this.#data(id, data)
    if (!this.isComplete) return
    await this.#destination.finish()
    await send(this.#stream, { type: PacketType.PACKET_FIN })
  }

  async close(): Promise<void> {
    await Promise.all([...this.#awaited.values()].map(({ file }) => file?.close()))
  }

  async #stat(stat: Stat): Promise<void> {
    const id = this.#told
    this.#told += 1
    const path = await this.#destination.make(stat)
    if (path === undefined) return
    this.#awaited.set(id, { stat, path })
    await send(this.#stream, { type: PacketType.PACKET_REQ, id })
  }

  /** An empty chunk ends a file. */
  async #data(id: number, data: Uint8Array): Promise<void> {
    const target = this.#awaited.get(id)
    if (target === undefined) throw new TransferError(`the engine sent file ${id}, which was not asked for`)
    // Opened with its first chunk: there may be more files than this process may have open.
    target.file ??= await open(target.path, 'wx', 0o600)
    if (data.byteLength > 0) {
      await target.file.writeFile(data)
      return
    }
    this.#awaited.delete(id)
    await target.file.close()
    await this.#destination.seal(target.stat)
  }
}
