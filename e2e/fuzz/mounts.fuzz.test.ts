// What a guest's kernel, or who is in its place, asks of a directory that it has of this machine: nothing outside of that is touched, each
// request is answered, and nothing stays open.
import { once } from 'node:events'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Duplex, duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
import { serve } from '../../src/mounts/index.ts'
import { FuseProtocolError, MESSAGE_MAX_BYTES, opcodes } from '../../src/mounts/requests.ts'
import { SharedTree } from '../../src/mounts/shared-tree.ts'
import { message, text, u32s, u64s } from '../../src/mounts/testing/kernel.ts'
import { fuzz } from './fuzz.ts'

/** Of an answer: its length, what was refused as a negative number, and the request that it is to. */
const ANSWER_HEAD_BYTES = 16
const MOST_ERRNO = 4095
const REQUEST_HEAD_BYTES = 40
const O_RDWR = 2

/** The root is node 1; what is looked up or opened first is the next, as long as nothing was before. */
const seeds = [
  [message(opcodes.init, 0, u32s(7, 31, 1 << 17, 0xffff_ffff))],
  [message(opcodes.lookup, 1, text('file')), message(opcodes.getattr, 2, u32s(0, 0, 0, 0))],
  [message(opcodes.lookup, 1, text('file')), message(opcodes.open, 2, u32s(O_RDWR, 0))],
  [message(opcodes.read, 2, Buffer.concat([u64s(1, 0), u32s(100, 0, 0, 0, 0, 0)]))],
  [message(opcodes.write, 2, Buffer.concat([u64s(1, 0), u32s(3, 0, 0, 0, 0, 0), Buffer.from('new')]))],
  [
    message(
      opcodes.setattr,
      2,
      Buffer.concat([u32s(0x1ff, 0), u64s(1, 9, 0, 0, 0, 0), u32s(0, 0, 0, 0o777, 0, 5, 5, 0)]),
    ),
  ],
  [message(opcodes.create, 1, Buffer.concat([u32s(O_RDWR, 0o644, 0, 0), text('made')]))],
  [message(opcodes.mkdir, 1, Buffer.concat([u32s(0o755, 0), text('made')])), message(opcodes.rmdir, 1, text('made'))],
  [
    message(opcodes.opendir, 1, u32s(0, 0)),
    message(opcodes.readdir, 1, Buffer.concat([u64s(1, 0), u32s(4096, 0, 0, 0)])),
  ],
  [
    message(opcodes.lookup, 1, text('sub')),
    message(opcodes.rename, 1, Buffer.concat([u64s(2), text('file', 'moved')])),
  ],
  [message(opcodes.lookup, 1, text('out')), message(opcodes.readlink, 2), message(opcodes.lookup, 2, text('file'))],
  [message(opcodes.symlink, 1, text('made', '../outside')), message(opcodes.create, 1, text('made'))],
  [message(opcodes.lookup, 1, text('file')), message(opcodes.link, 1, Buffer.concat([u64s(2), text('also')]))],
  [message(opcodes.unlink, 1, text('file')), message(opcodes.forget, 2, u64s(1)), message(opcodes.statfs, 1)],
  [message(opcodes.batchForget, 0, Buffer.concat([u32s(2, 0), u64s(2, 1, 3, 1)])), message(opcodes.destroy, 0)],
].map((messages) => Buffer.concat(messages))

test.each(['read-write', 'read-only'] as const)('a directory, %s', async (access) => {
  const take = async (input: Buffer) => {
    const directory = mkdtempSync(join(tmpdir(), 'tk-fuzz-'))
    try {
      const [shared, outside] = [join(directory, 'shared'), join(directory, 'outside')]
      mkdirSync(join(shared, 'sub'), { recursive: true })
      mkdirSync(outside)
      for (const path of [join(shared, 'file'), join(outside, 'file')]) writeFileSync(path, 'text')
      symlinkSync(outside, join(shared, 'out'))
      const before = stateOf(outside)
      const tree = await SharedTree.open(shared)
      const [guest, ours] = duplexPair()
      const answers = new Answers(guest)
      guest.write(input)
      const served = serve(ours, tree, access).catch((thrown: unknown) => thrown)
      await Promise.race([served, answers.arrived(mustBeAnswered(input))])
      guest.end()
      const thrown = await served
      if (thrown !== undefined) expect(thrown).toBeInstanceOf(FuseProtocolError)
      answers.check()
      expect(stateOf(outside)).toBe(before)
      expect(readdirSync(directory)).toEqual(['outside', 'shared'])
      if (access === 'read-only') expect(readdirSync(shared)).toEqual(['file', 'out', 'sub'])
    } finally {
      rmSync(directory, { recursive: true })
    }
  }
  const openBefore = readdirSync('/proc/self/fd').length
  expect(await fuzz({ name: `directory ${access}`, seeds, take })).toBeGreaterThan(0)
  expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(openBefore)
})

/** All of it that a guest could change. */
function stateOf(directory: string): string {
  const [{ mode, uid, gid, mtimeMs, nlink }, file] = [lstatSync(directory), lstatSync(join(directory, 'file'))]
  const told = [mode, uid, gid, mtimeMs, nlink, file.mode, file.uid, file.gid, file.mtimeMs, file.nlink]
  return JSON.stringify([told, readdirSync(directory), readFileSync(join(directory, 'file'), 'utf8')])
}

/** How many requests there are in what a guest says, before it ends or is no FUSE, whose answer somebody waits for. */
function mustBeAnswered(said: Buffer): number {
  const unanswered: readonly number[] = [opcodes.forget, opcodes.batchForget, opcodes.interrupt]
  let count = 0
  for (let at = 0; at + REQUEST_HEAD_BYTES <= said.length; ) {
    const length = said.readUInt32LE(at)
    if (length < REQUEST_HEAD_BYTES || length > MESSAGE_MAX_BYTES || at + length > said.length) break
    if (!unanswered.includes(said.readUInt32LE(at + 4))) count++
    at += length
  }
  return count
}

/** What a guest hears. */
class Answers {
  readonly #stream: Duplex
  #count = 0
  #rest = Buffer.alloc(0)

  constructor(stream: Duplex) {
    this.#stream = stream
    stream.on('data', (piece: Buffer) => this.#take(piece))
  }

  async arrived(count: number): Promise<void> {
    while (this.#count < count) await once(this.#stream, 'data')
  }

  check(): void {
    expect(this.#rest).toHaveLength(0)
  }

  /** Throws, which the fuzzer hears, where the guest's kernel would give the directory up. */
  #take(piece: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, piece])
    while (this.#rest.length >= ANSWER_HEAD_BYTES) {
      const [length, errno] = [this.#rest.readUInt32LE(), -this.#rest.readInt32LE(4)]
      expect(length).toBeGreaterThanOrEqual(ANSWER_HEAD_BYTES)
      expect(length).toBeLessThanOrEqual(MESSAGE_MAX_BYTES)
      expect(errno).toBeGreaterThanOrEqual(0)
      expect(errno).toBeLessThanOrEqual(MOST_ERRNO)
      if (errno !== 0) expect(length).toBe(ANSWER_HEAD_BYTES)
      if (this.#rest.length < length) return
      this.#rest = this.#rest.subarray(length)
      this.#count++
    }
  }
}
