import type { BigIntStats, BigIntStatsFs } from 'node:fs'
import { FuseProtocolError, MOST_DATA_BYTES, type RequestBody } from './requests.ts'

const ANSWER_HEAD_BYTES = 16

/** @param errno 0 for a request that was done */
export function answerOf(unique: bigint, errno: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const answer = Buffer.allocUnsafe(ANSWER_HEAD_BYTES + body.length)
  answer.writeUInt32LE(answer.length)
  answer.writeInt32LE(-errno, 4)
  answer.writeBigUInt64LE(unique, 8)
  answer.set(body, ANSWER_HEAD_BYTES)
  return answer
}

const VERSION = { major: 7, minor: 27 } as const
/**
 * FUSE_ASYNC_READ, FUSE_ATOMIC_O_TRUNC, FUSE_BIG_WRITES, FUSE_AUTO_INVAL_DATA, FUSE_PARALLEL_DIROPS. No locks among them: the guest's kernel
 * keeps them, for all who are in the guest.
 */
const FLAGS = (1 << 0) | (1 << 3) | (1 << 5) | (1 << 12) | (1 << 18)
/** Requests that nobody waits for, such as reading ahead. */
const MOST_IN_BACKGROUND = 16

/** Answers the first request, which says what the kernel can do. @throws FuseProtocolError for one from before 4.18 */
export function initBody(request: RequestBody): Buffer {
  const [major, minor, readAhead, flags] = [request.u32(), request.u32(), request.u32(), request.u32()]
  if (major !== VERSION.major || minor < VERSION.minor)
    throw new FuseProtocolError(`its version is ${major}.${minor}, and not ${VERSION.major}.${VERSION.minor} or later`)
  const body = Buffer.alloc(64)
  for (const [at, value] of [VERSION.major, VERSION.minor, readAhead, flags & FLAGS].entries())
    body.writeUInt32LE(value >>> 0, at * 4)
  body.writeUInt16LE(MOST_IN_BACKGROUND, 16)
  body.writeUInt16LE(MOST_IN_BACKGROUND, 18)
  body.writeUInt32LE(MOST_DATA_BYTES, 20)
  // Times have nanoseconds.
  body.writeUInt32LE(1, 24)
  return body
}

/** How a file is told of: what is known here, with the owner that it has in the guest. */
export interface Attributes extends Pick<BigIntStats, 'ino' | 'size' | 'blocks' | 'mode' | 'nlink' | 'blksize'> {
  readonly atimeNs: bigint
  readonly mtimeNs: bigint
  readonly ctimeNs: bigint
  readonly uid: number
  readonly gid: number
}

const NS_PER_S = 1_000_000_000n

function attributesBody(attributes: Attributes): Buffer {
  const { ino, size, blocks, atimeNs, mtimeNs, ctimeNs, mode, nlink, uid, gid, blksize } = attributes
  const body = Buffer.alloc(88)
  const times = [atimeNs, mtimeNs, ctimeNs].map((ns) => {
    // Also of a time before 1970.
    const fraction = ((ns % NS_PER_S) + NS_PER_S) % NS_PER_S
    return { seconds: (ns - fraction) / NS_PER_S, fraction: Number(fraction) }
  })
  for (const [at, value] of [ino, size, blocks, ...times.map(({ seconds }) => seconds)].entries())
    body.writeBigUInt64LE(BigInt.asUintN(64, value), at * 8)
  const fractions = times.map(({ fraction }) => fraction)
  const small = [...fractions, Number(mode), Number(nlink), uid, gid, 0, Number(blksize)]
  for (const [at, value] of small.entries()) body.writeUInt32LE(value >>> 0, 48 + at * 4)
  return body
}

/**
 * For how long the guest's kernel does not ask again, in seconds: not at all for files, so that what a test writes here is there in the
 * guest; for directories a little, because every path leads through them, and one that was replaced is noticed on the way.
 */
function validityOf({ mode }: Pick<BigIntStats, 'mode'>): bigint {
  return isDirectoryMode(mode) ? 1n : 0n
}

export function isDirectoryMode(mode: bigint): boolean {
  return (Number(mode) & 0o170000) === 0o040000
}

export function attributesAnswer(attributes: Attributes): Buffer {
  const head = Buffer.alloc(16)
  head.writeBigUInt64LE(validityOf(attributes))
  return Buffer.concat([head, attributesBody(attributes)])
}

export function entryAnswer(node: number, attributes: Attributes): Buffer {
  const head = Buffer.alloc(40)
  head.writeBigUInt64LE(BigInt(node))
  head.writeBigUInt64LE(validityOf(attributes), 16)
  head.writeBigUInt64LE(validityOf(attributes), 24)
  return Buffer.concat([head, attributesBody(attributes)])
}

export function openAnswer(handle: number): Buffer {
  const body = Buffer.alloc(16)
  body.writeBigUInt64LE(BigInt(handle))
  return body
}

export function writtenAnswer(count: number): Buffer {
  const body = Buffer.alloc(8)
  body.writeUInt32LE(count)
  return body
}

export function statfsAnswer({ blocks, bfree, bavail, files, ffree, bsize }: BigIntStatsFs): Buffer {
  const body = Buffer.alloc(80)
  for (const [at, value] of [blocks, bfree, bavail, files, ffree].entries()) body.writeBigUInt64LE(value, at * 8)
  // NAME_MAX of Linux.
  for (const [at, value] of [Number(bsize), 255, Number(bsize)].entries()) body.writeUInt32LE(value, 40 + at * 4)
  return body
}

/** A name in a directory, and the four bits of a mode that are its type. */
export interface DirectoryEntry {
  readonly name: string
  readonly type: number
}

/** Where its number is not known (FUSE_UNKNOWN_INO): the guest asks for what it needs. */
const UNKNOWN_INODE = 0xffff_ffffn

/** Entries from the one at `offset` on, as many as fit. */
export function entriesAnswer(entries: readonly DirectoryEntry[], offset: number, size: number): Buffer {
  const parts: Buffer[] = []
  let room = Math.min(size, MOST_DATA_BYTES)
  for (let at = offset; at < entries.length; at++) {
    const { name, type } = entries[at] as DirectoryEntry
    const length = (24 + name.length + 7) & ~7
    if (length > room) break
    const part = Buffer.alloc(length)
    part.writeBigUInt64LE(UNKNOWN_INODE)
    part.writeBigUInt64LE(BigInt(at + 1), 8)
    part.writeUInt32LE(name.length, 16)
    part.writeUInt32LE(type, 20)
    part.write(name, 24, 'latin1')
    parts.push(part)
    room -= length
  }
  return Buffer.concat(parts)
}
