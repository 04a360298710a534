import { chmod, type FileHandle, link, lstat, mkdir, open, rm, symlink, utimes } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Packet, type PacketSchema, PacketType, type Stat } from '../gen/fsutil_pb.ts'
import { messages, send, TransferError } from './message-stream.ts'
import type { MessageStream } from './services.ts'
import { kindOf, unixPermissions } from './walk.ts'

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

/**
 * A directory that a transfer is written to. The engine names the paths, so each must lie in a directory of this very
 * transfer: nothing is written outside, nor through a link that was sent or was there before.
 */
export class Destination {
  readonly #root: string
  readonly #directories = new Map<string, Stat | undefined>([['', undefined]])
  readonly #files = new Set<string>()
  /** Hard links, to be made when the files they are links to have come. */
  readonly #links: { from: string; to: string }[] = []

  private constructor(root: string) {
    this.#root = root
  }

  static async open(directory: string): Promise<Destination> {
    const root = resolve(directory)
    await mkdir(root, { recursive: true })
    return new Destination(root)
  }

  /** Makes what `stat` tells of. For a file, whose content is still to come, returns where to. */
  async make(stat: Stat): Promise<string | undefined> {
    const path = this.#locate(stat.path)
    switch (kindOf(stat.mode)) {
      case 'directory':
        await this.#makeDirectory(path)
        this.#directories.set(stat.path, stat)
        return undefined
      case 'symlink':
        await rm(path, { force: true, recursive: true })
        await symlink(stat.linkname, path)
        return undefined
      case 'special':
        return undefined
      case 'file':
        await rm(path, { force: true, recursive: true })
        if (stat.linkname !== '') {
          if (!this.#files.has(stat.linkname)) throw illegal(stat.linkname)
          this.#links.push({ from: path, to: join(this.#root, stat.linkname) })
          return undefined
        }
        this.#files.add(stat.path)
        return path
    }
  }

  /** Gives a file that is complete its mode and time. */
  async seal({ path, mode, modTime }: Stat): Promise<void> {
    const absolute = join(this.#root, path)
    await chmod(absolute, unixPermissions(mode))
    const seconds = Number(modTime) / 1e9
    await utimes(absolute, seconds, seconds)
  }

  /** When all files have come. Directories get mode and time last, the innermost first: then nothing is written to them. */
  async finish(): Promise<void> {
    for (const { from, to } of this.#links) await link(to, from)
    for (const stat of [...this.#directories.values()].reverse()) if (stat !== undefined) await this.seal(stat)
  }

  #locate(path: string): string {
    const slash = path.lastIndexOf('/')
    const name = path.slice(slash + 1)
    const parent = slash < 0 ? '' : path.slice(0, slash)
    if (name === '' || name === '.' || name === '..' || path.includes('\0') || !this.#directories.has(parent))
      throw illegal(path)
    return join(this.#root, path)
  }

  async #makeDirectory(path: string): Promise<void> {
    const present = await lstat(path).catch(() => undefined)
    if (present?.isDirectory()) return
    if (present !== undefined) await rm(path)
    await mkdir(path, 0o700)
  }
}

function illegal(path: string): TransferError {
  return new TransferError(`the engine sent a path that is not in the transfer: ${JSON.stringify(path)}`)
}
