import { mkdtemp, open, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { elfNote, fakeCore, VMCOREINFO } from './testing/fake-core.ts'
import { writeVmcore } from './vmcore-file.ts'

const kernel = { elfMachine: 62, imageMap: 0x80000000n }
const MAX_BYTES = 1024 ** 2

let directory: string
let path: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-vmcore-'))
  path = join(directory, 'vmcore')
})

afterEach(() => rm(directory, { recursive: true }))

async function write(core: Buffer, { chunk = core.length, maxBytes = MAX_BYTES } = {}) {
  const file = await open(path, 'w')
  const chunks = function* () {
    for (let at = 0; at < core.length; at += chunk) yield core.subarray(at, at + chunk)
  }
  const progress: number[] = []
  try {
    const onProgress = ({ writtenBytes }: { writtenBytes: number }) => progress.push(writtenBytes)
    const facts = await writeVmcore(asyncOf(chunks()), file, { kernel, maxBytes, onProgress })
    return { facts, progress }
  } finally {
    await file.close()
  }
}

async function* asyncOf(chunks: Iterable<Buffer>): AsyncGenerator<Buffer> {
  yield* chunks
}

/** As a debugger reads it. */
async function readCore() {
  const core = await readFile(path)
  const at = Number(core.readBigUInt64LE(32))
  const segments = Array.from({ length: core.readUInt16LE(56) }, (_, index) => {
    const header = core.subarray(at + index * 56)
    const offset = Number(header.readBigUInt64LE(8))
    const bytes = Number(header.readBigUInt64LE(32))
    return { kind: header.readUInt32LE(0), offset, content: core.subarray(offset, offset + bytes) }
  })
  return { core, segments }
}

describe('a core of QEMU', () => {
  test.each([1, 7, 4096, 1_000_000])(
    'that comes %i bytes at a time has its memory where its segments say',
    async (chunk) => {
      const { facts, progress } = await write(fakeCore(), { chunk })
      const { core, segments } = await readCore()
      const [notes, low, high] = segments
      expect(facts).toEqual({ sizeBytes: core.length, hasVmcoreinfo: true })
      expect(progress).toEqual([3 * 4096])
      expect(low?.content.subarray(4096).toString()).toContain(VMCOREINFO)
      expect(high?.content.toString()).toMatch(/^(content)+/)
      expect(notes?.content).toEqual(Buffer.concat([elfNote('CORE', 'processors'), elfNote('VMCOREINFO', VMCOREINFO)]))
    },
  )

  test('is of the processor that the guest has, and has no sections', async () => {
    await write(fakeCore())
    const { core } = await readCore()
    expect([core.readUInt16LE(18), core.readUInt16LE(52)]).toEqual([kernel.elfMachine, 64])
    expect(core.subarray(40, 48).equals(Buffer.alloc(8)) && core.subarray(58, 64).equals(Buffer.alloc(6))).toBe(true)
  })

  test('has its pages where those of the file are, so that empty ones take no room', async () => {
    await write(fakeCore())
    const { core, segments } = await readCore()
    expect(segments.slice(1).map(({ offset }) => offset % 4096)).toEqual([0, 0])
    const { blocks } = await stat(path)
    expect(blocks * 512).toBeLessThan(core.length)
  })

  test.each([
    ['no note', 'none'],
    ['a note of another name', elfNote('VMCOREINFX', VMCOREINFO)],
    ['a note of something else', elfNote('VMCOREINFO', 'anything')],
  ] as const)('with %s is written without one', async (_, note) => {
    const { facts } = await write(fakeCore({ note }))
    const { segments } = await readCore()
    expect(facts.hasVmcoreinfo).toBe(false)
    expect(segments[0]?.content).toEqual(elfNote('CORE', 'processors'))
  })

  test('has the image of a kernel that says where it is at the addresses of its symbols', async () => {
    // The page with the content is at 0x100000, which symbols know as 0x81000000.
    const note = elfNote('VMCOREINFO', `${VMCOREINFO}SYMBOL(_stext)=81000000\nNUMBER(phys_base)=-15728640\n`)
    await write(fakeCore({ note }))
    const { core, segments } = await readCore()
    expect(segments.map(({ kind }) => kind)).toEqual([4, 1, 1, 1])
    expect(segments[0]?.content.subarray(-note.length)).toEqual(note)
    const [, image, , high] = segments
    expect(image).toEqual(high)
    const table = Number(core.readBigUInt64LE(32)) + 56
    expect([core.readBigUInt64LE(table + 16), core.readBigUInt64LE(table + 24)]).toEqual([0x81000000n, 0x100000n])
  })

  test.each(['SYMBOL(_stext)=81000000', 'SYMBOL(_stext)=81000000\nNUMBER(phys_base)=4096'])(
    'of a kernel that is not where it says (%j) has it nowhere else',
    async (said) => {
      await write(fakeCore({ note: elfNote('VMCOREINFO', `${VMCOREINFO}${said}\n`) }))
      expect((await readCore()).segments).toHaveLength(3)
    },
  )

  test('with a note that says it is longer than its page is written without one', async () => {
    const note = elfNote('VMCOREINFO', VMCOREINFO)
    note.writeUInt32LE(0xffffffff, 4)
    expect((await write(fakeCore({ note }))).facts.hasVmcoreinfo).toBe(false)
  })
})

describe('what is no core of a guest', () => {
  const changed = (change: (core: Buffer) => unknown) => {
    const core = fakeCore()
    change(core)
    return core
  }

  test.each([
    ['what is no core', Buffer.alloc(4096, 'x'), 'no ELF core'],
    ['what is cut off in its head', fakeCore().subarray(0, 200), 'ends too soon'],
    ['what is cut off in its memory', fakeCore().subarray(0, -4096), 'ends too soon'],
    ['a table beyond any', changed((core) => core.writeBigUInt64LE(2n ** 60n, 32)), 'strange table'],
    ['memory without notes', changed((core) => core.writeUInt32LE(1, 192)), 'no notes'],
    ['notes in the memory', changed((core) => core.writeBigUInt64LE(9_000n, 192 + 32)), 'strange sizes'],
    ['memory with gaps', changed((core) => core.writeBigUInt64LE(9_000n, 192 + 112 + 8)), 'strange segments'],
    ['a part of a page', changed((core) => core.writeBigUInt64LE(5n, 192 + 112 + 32)), 'strange segments'],
    ['more than there is', changed((core) => core.writeBigUInt64LE(2n ** 40n, 192 + 112 + 32)), 'strange sizes'],
  ])('refuses %s', async (_, core, why) => {
    await expect(write(core)).rejects.toThrow(why)
  })
})
