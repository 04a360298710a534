import { constants } from 'node:fs'
import { type FileHandle, link, lstat, mkdir, open, realpath, rm, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { type Packet, type PacketSchema, PacketType, type Stat } from '../gen/fsutil_pb.ts'
import { messages, send, TransferError } from './message-stream.ts'
import type { MessageStream } from './services.ts'
import { kindOf, unixPermissions } from './walk.ts'
import { inDirectory, openWithin } from './within.ts'

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
  readonly #awaited = new Map<number, { stat: Stat; file?: FileHandle }>()
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
    if ((await this.#destination.make(stat)) === 'made') return
    this.#awaited.set(id, { stat })
    await send(this.#stream, { type: PacketType.PACKET_REQ, id })
  }

  /** An empty chunk ends a file. */
  async #data(id: number, data: Uint8Array): Promise<void> {
    const target = this.#awaited.get(id)
    if (target === undefined) throw new TransferError(`the engine sent file ${id}, which was not asked for`)
    // Opened with its first chunk: there may be more files than this process may have open.
    target.file ??= await this.#destination.open(target.stat)
    if (data.byteLength > 0) {
      await target.file.writeFile(data)
      return
    }
    await seal(target.file, target.stat)
    this.#awaited.delete(id)
    await target.file.close()
  }
}

/** What the names and the targets of links may have, in bytes (limits.h of Linux). */
const NAME_MAX_BYTES = 255
const PATH_MAX_BYTES = 4095
/** A root file system has a tenth. */
const MOST_ENTRIES = 2_000_000

/**
 * A directory that a transfer is written to. The engine names the paths, so each must lie in a directory of this very
 * transfer, and is told once: nothing is written outside, nor through a link that was sent, was there before, or is put there meanwhile.
 */
export class Destination {
  readonly #root: string
  readonly #told = new Set<string>()
  readonly #directories = new Map<string, Stat | undefined>([['', undefined]])
  readonly #files = new Set<string>()
  /** Hard links, to be made when the files they are links to have come. */
  readonly #links: { path: string; linkname: string }[] = []

  private constructor(root: string) {
    this.#root = root
  }

  static async open(directory: string): Promise<Destination> {
    await mkdir(directory, { recursive: true })
    return new Destination(await realpath(directory))
  }

  /** Makes what `stat` tells of, or makes room for a file whose content is still to come. @throws TransferError */
  async make(stat: Stat): Promise<'made' | 'content comes'> {
    const { path, linkname } = stat
    this.#check(stat)
    switch (kindOf(stat.mode)) {
      case 'directory':
        await this.#in(path, makeDirectory)
        this.#directories.set(path, stat)
        return 'made'
      case 'symlink':
        await this.#in(path, async (place) => {
          await rm(place, { force: true, recursive: true })
          await symlink(linkname, place)
        })
        return 'made'
      case 'special':
        return 'made'
      case 'file':
        await this.#in(path, (place) => rm(place, { force: true, recursive: true }))
        if (linkname !== '') {
          if (!this.#files.has(linkname)) throw illegal(linkname)
          this.#links.push({ path, linkname })
          return 'made'
        }
        this.#files.add(path)
        return 'content comes'
    }
  }

  /** Makes a file that was told of. */
  open({ path }: Stat): Promise<FileHandle> {
    return this.#in(path, (place) => open(place, 'wx', 0o600))
  }

  /** When all files have come. Directories get mode and time last, the innermost first: then nothing is written to them. */
  async finish(): Promise<void> {
    for (const { path, linkname } of this.#links)
      await this.#in(linkname, (target) => this.#in(path, (place) => link(target, place)))
    for (const stat of [...this.#directories.values()].reverse())
      if (stat !== undefined) await this.#sealDirectory(stat)
  }

  async #sealDirectory(stat: Stat): Promise<void> {
    const directory = await openWithin(this.#root, stat.path, constants.O_RDONLY | constants.O_DIRECTORY)
    try {
      await seal(directory, stat)
    } finally {
      await directory.close()
    }
  }

  /** @param work takes a path that leads to the place, whatever becomes of the directories above it */
  #in<T>(path: string, work: (place: string) => Promise<T>): Promise<T> {
    const parent = dirname(path)
    return inDirectory(this.#root, parent, (directory) => work(join(directory, basename(path))))
  }

  #check({ path, linkname }: Stat): void {
    const slash = path.lastIndexOf('/')
    const name = path.slice(slash + 1)
    const parent = slash < 0 ? '' : path.slice(0, slash)
    const isName = name !== '' && name !== '.' && name !== '..' && Buffer.byteLength(name) <= NAME_MAX_BYTES
    const isShort = Buffer.byteLength(path) <= PATH_MAX_BYTES && Buffer.byteLength(linkname) <= PATH_MAX_BYTES
    const isText = !path.includes('\0') && !linkname.includes('\0')
    if (!isName || !isShort || !isText || !this.#directories.has(parent)) throw illegal(path)
    // As a directory first and as a link to another one then, it would lead outside.
    if (this.#told.has(path)) throw new TransferError(`the engine sent a path twice: ${quoted(path)}`)
    if (this.#told.size >= MOST_ENTRIES) throw new TransferError(`the engine sent more than ${MOST_ENTRIES} files`)
    this.#told.add(path)
  }
}

/** Gives what is complete its mode and time. */
async function seal(file: FileHandle, { mode, modTime }: Stat): Promise<void> {
  await file.chmod(unixPermissions(mode))
  const seconds = Number(modTime) / 1e9
  await file.utimes(seconds, seconds)
}

async function makeDirectory(place: string): Promise<void> {
  const present = await lstat(place).catch(() => undefined)
  if (present?.isDirectory()) return
  if (present !== undefined) await rm(place)
  await mkdir(place, 0o700)
}

function illegal(path: string): TransferError {
  return new TransferError(`the engine sent a path that is not in the transfer: ${quoted(path)}`)
}

function quoted(path: string): string {
  return JSON.stringify(path.slice(0, 300))
}
