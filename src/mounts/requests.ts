import { constants } from 'node:os'
import type { Readable } from 'node:stream'

// FUSE as the guest's kernel speaks it (linux/fuse.h; images/door/share.c carries it), in the version that every kernel from 4.18 on knows,
// and in the guest's byte order, of which the lowest byte is the first on every architecture of ours.

/** Bytes of a file in one message. The kernel of the guest is held to it, and so are we. */
export const MOST_DATA_BYTES = 128 << 10
/** With what goes before data: two heads, or names and the targets of links. */
export const MESSAGE_MAX_BYTES = MOST_DATA_BYTES + 4096
const REQUEST_HEAD_BYTES = 40

/** Of the messages that are answered, or that need none; the kernel does without all others when it is told that there are none. */
export const opcodes = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  readlink: 5,
  symlink: 6,
  mknod: 8,
  mkdir: 9,
  unlink: 10,
  rmdir: 11,
  rename: 12,
  link: 13,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  fsyncdir: 30,
  create: 35,
  interrupt: 36,
  destroy: 38,
  batchForget: 42,
} as const

/** What the guest says is no FUSE: nothing that follows can be understood. */
export class FuseProtocolError extends Error {}

/** An operation that is not done, by the name that the guest's programs know. */
export class Refusal extends Error {
  readonly errno: number

  constructor(code: keyof typeof constants.errno) {
    super(code)
    this.errno = constants.errno[code]
  }
}

/** What the guest reads of something thrown: what the system said here, or that something is wrong. */
export function errnoOf(thrown: unknown): number {
  const { errno } = thrown as { errno?: unknown }
  return typeof errno === 'number' && errno !== 0 ? Math.abs(errno) : constants.errno.EIO
}

export interface FuseRequest {
  readonly opcode: number
  readonly unique: bigint
  /** The file or directory that it is about. */
  readonly node: number
  readonly uid: number
  readonly gid: number
  readonly body: RequestBody
}

/** What is behind a request's head, read from its front. Whatever is not there is no request: it is refused as invalid. */
export class RequestBody {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#take(4))
  }

  /** Of a size, an offset or a handle of ours: more than a number can hold is none. */
  u64(): number {
    const value = this.#bytes.readBigUInt64LE(this.#take(8))
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Refusal('EINVAL')
    return Number(value)
  }

  skip(count: number): void {
    this.#take(count)
  }

  data(count: number): Buffer {
    const at = this.#take(count)
    return this.#bytes.subarray(at, at + count)
  }

  /** Bytes up to a zero, each as one character: what the file system has for names need not be text. */
  text(): string {
    const end = this.#bytes.indexOf(0, this.#at)
    if (end < 0) throw new Refusal('EINVAL')
    return this.#bytes.toString('latin1', this.#take(end + 1 - this.#at), end)
  }

  /** One component of a path, which leads nowhere else. */
  name(): string {
    const name = this.text()
    if (name === '' || name === '.' || name === '..' || name.includes('/')) throw new Refusal('EINVAL')
    return name
  }

  #take(count: number): number {
    const at = this.#at
    if (at + count > this.#bytes.length) throw new Refusal('EINVAL')
    this.#at += count
    return at
  }
}

/** The requests of a stream, until it ends. @throws FuseProtocolError; what the stream fails with */
export async function* requestsIn(stream: Readable): AsyncGenerator<FuseRequest, void> {
  let pieces: Buffer[] = []
  let heldBytes = 0
  /** Before there are so many, nothing more is whole: they are not put together for every piece that comes. */
  let wantedBytes = REQUEST_HEAD_BYTES
  for await (const piece of stream) {
    pieces.push(piece)
    heldBytes += piece.length
    if (heldBytes < wantedBytes) continue
    let held = Buffer.concat(pieces)
    while (held.length >= REQUEST_HEAD_BYTES) {
      wantedBytes = held.readUInt32LE()
      if (wantedBytes < REQUEST_HEAD_BYTES || wantedBytes > MESSAGE_MAX_BYTES)
        throw new FuseProtocolError(`a request says that it has ${wantedBytes} bytes`)
      if (held.length < wantedBytes) break
      yield parseRequest(held.subarray(0, wantedBytes))
      held = held.subarray(wantedBytes)
      wantedBytes = REQUEST_HEAD_BYTES
    }
    pieces = [held]
    heldBytes = held.length
  }
}

function parseRequest(message: Buffer): FuseRequest {
  return {
    opcode: message.readUInt32LE(4),
    unique: message.readBigUInt64LE(8),
    node: Number(message.readBigUInt64LE(16)),
    uid: message.readUInt32LE(24),
    gid: message.readUInt32LE(28),
    body: new RequestBody(message.subarray(REQUEST_HEAD_BYTES)),
  }
}
