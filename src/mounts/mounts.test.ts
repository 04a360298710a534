import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { opcodes } from './requests.ts'
import { nodeIn, TestKernel, text, u32s, u64s } from './testing/kernel.ts'

const { EINVAL, ENOENT, ENOSYS, ENOTDIR, EROFS, ESTALE, ENXIO, ENFILE, EPERM, EBADF } = constants.errno
const O_RDWR = 2

let directory: string
/** What the guest has. */
let shared: string
/** What it must not have. */
let outside: string

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tk-mounts-'))
  shared = join(directory, 'shared')
  outside = join(directory, 'outside')
  mkdirSync(join(shared, 'sub'), { recursive: true })
  mkdirSync(outside)
  writeFileSync(join(shared, 'file'), 'inside')
  writeFileSync(join(shared, 'sub/file'), 'inside')
  writeFileSync(join(outside, 'file'), 'secret')
})
afterEach(() => rmSync(directory, { recursive: true }))

async function open(kernel: TestKernel, node: number, flags = 0): Promise<number> {
  return nodeIn(await kernel.ask(opcodes.open, node, u32s(flags, 0)))
}

async function read(kernel: TestKernel, path: string): Promise<string> {
  const node = await kernel.find(path)
  const handle = await open(kernel, node)
  const { body } = await kernel.ask(opcodes.read, node, readOf(handle, 1_000))
  await kernel.ask(opcodes.release, node, u64s(handle, 0, 0))
  return String(body)
}

const readOf = (handle: number, size: number) => Buffer.concat([u64s(handle, 0), u32s(size, 0, 0, 0, 0, 0)])
const writeOf = (handle: number, data: string) =>
  Buffer.concat([u64s(handle, 0), u32s(data.length, 0, 0, 0, 0, 0), Buffer.from(data)])
const createOf = (name: string, mode = 0o644) => Buffer.concat([u32s(O_RDWR, mode, 0, 0), text(name)])

test('a file is read, written and made', async () => {
  await using kernel = await TestKernel.mount(shared, 'read-write')
  expect(await read(kernel, 'sub/file')).toBe('inside')
  const { body } = await kernel.ask(opcodes.create, 1, createOf('ä', 0o640))
  const handle = Number(body.readBigUInt64LE(128))
  expect((await kernel.ask(opcodes.write, 1, writeOf(handle, 'new'))).body.readUInt32LE()).toBe(3)
  expect(readFileSync(join(shared, 'ä'), 'utf8')).toBe('new')
  expect(lstatSync(join(shared, 'ä')).mode & 0o777).toBe(0o640)
})

test('what is renamed is the same, and what is removed is gone', async () => {
  await using kernel = await TestKernel.mount(shared, 'read-write')
  const sub = await kernel.find('sub')
  await kernel.ask(opcodes.rename, 1, Buffer.concat([u64s(1), text('sub', 'moved')]))
  expect(nodeIn(await kernel.ask(opcodes.lookup, sub, text('file')))).toBe(await kernel.find('moved/file'))
  await kernel.ask(opcodes.unlink, sub, text('file'))
  expect((await kernel.ask(opcodes.lookup, sub, text('file'))).errno).toBe(ENOENT)
  await kernel.ask(opcodes.rmdir, 1, text('moved'))
  expect(readdirSync(shared)).toEqual(['file'])
})

describe('nothing outside of the directory is reached', () => {
  test.each(['..', '.', '', 'sub/file', '../outside', '/etc/passwd'])('by the name %j', async (name) => {
    await using kernel = await TestKernel.mount(shared, 'read-write')
    expect((await kernel.ask(opcodes.lookup, 1, text(name))).errno).toBe(EINVAL)
    expect((await kernel.ask(opcodes.create, 1, createOf(name))).errno).toBe(EINVAL)
    expect((await kernel.ask(opcodes.rename, 1, Buffer.concat([u64s(1), text('file', name)]))).errno).toBe(EINVAL)
    expect((await kernel.ask(opcodes.unlink, 1, text(name))).errno).toBe(EINVAL)
  })

  test('by a symbolic link, whoever made it', async () => {
    symlinkSync(outside, join(shared, 'theirs'))
    await using kernel = await TestKernel.mount(shared, 'read-write')
    await kernel.ask(opcodes.symlink, 1, text('own', join(outside, 'file')))
    const [theirs, own] = [await kernel.find('theirs'), await kernel.find('own')]
    expect(String((await kernel.ask(opcodes.readlink, theirs)).body)).toBe(outside)
    expect((await kernel.ask(opcodes.lookup, theirs, text('file'))).errno).toBe(ENOTDIR)
    expect((await kernel.ask(opcodes.opendir, theirs, u32s(0, 0))).errno).toBe(ENOTDIR)
    expect((await kernel.ask(opcodes.open, own, u32s(O_RDWR, 0))).errno).toBe(ENXIO)
    // A link has no mode, and what it leads to keeps its own.
    await kernel.ask(opcodes.setattr, own, setattrOf({ mode: 0o777 }))
    expect((await kernel.ask(opcodes.create, 1, createOf('own'))).errno).toBe(ENXIO)
    expect(lstatSync(join(outside, 'file')).mode & 0o777).not.toBe(0o777)
    expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('secret')
  })

  test('by a directory that becomes a link after the guest has heard of it', async () => {
    await using kernel = await TestKernel.mount(shared, 'read-write')
    const [sub, file] = [await kernel.find('sub'), await kernel.find('sub/file')]
    renameSync(join(shared, 'sub'), join(directory, 'moved-out'))
    symlinkSync(outside, join(shared, 'sub'))
    const all = [
      kernel.ask(opcodes.open, file, u32s(0, 0)),
      kernel.ask(opcodes.lookup, sub, text('file')),
      kernel.ask(opcodes.create, sub, createOf('new')),
      kernel.ask(opcodes.unlink, sub, text('file')),
      kernel.ask(opcodes.rename, 1, Buffer.concat([u64s(sub), text('file', 'file')])),
      kernel.ask(opcodes.link, sub, Buffer.concat([u64s(await kernel.find('file')), text('new')])),
      kernel.ask(opcodes.setattr, file, setattrOf({ mode: 0o777 })),
    ]
    for (const { errno } of await Promise.all(all)) expect([ESTALE, ENOTDIR]).toContain(errno)
    expect(readdirSync(outside)).toEqual(['file'])
    expect(readdirSync(join(directory, 'moved-out'))).toEqual(['file'])
  })

  test('by pipes of this machine, which nobody waits for, nor by devices that the guest would make', async () => {
    execFileSync('mkfifo', [join(shared, 'pipe')])
    await using kernel = await TestKernel.mount(shared, 'read-write')
    expect((await kernel.ask(opcodes.open, await kernel.find('pipe'), u32s(0, 0))).errno).toBe(ENXIO)
    for (const type of [0o020000, 0o060000, 0o010000, 0o140000]) {
      const device = Buffer.concat([u32s(type | 0o666, 0x0101, 0, 0), text('device')])
      expect((await kernel.ask(opcodes.mknod, 1, device)).errno).toBe(EPERM)
    }
  })
})

test('what a guest makes runs as nobody else, and an owner that it gives is known to it alone', async () => {
  await using kernel = await TestKernel.mount(shared, 'read-write')
  const before = lstatSync(join(shared, 'file'))
  const file = await kernel.find('file')
  const { body } = await kernel.ask(opcodes.setattr, file, setattrOf({ mode: 0o6755, uid: 999 }))
  expect(body.readUInt32LE(16 + 68)).toBe(999)
  const after = lstatSync(join(shared, 'file'))
  expect([after.mode & 0o7777, after.uid]).toEqual([0o755, before.uid])
})

test('a file without a name is there as long as it is open', async () => {
  await using kernel = await TestKernel.mount(shared, 'read-write')
  const file = await kernel.find('file')
  const handle = await open(kernel, file, O_RDWR)
  await kernel.ask(opcodes.unlink, 1, text('file'))
  expect((await kernel.ask(opcodes.getattr, file, u32s(0, 0, 0, 0))).errno).toBe(0)
  expect(String((await kernel.ask(opcodes.read, file, readOf(handle, 100))).body)).toBe('inside')
  await kernel.ask(opcodes.release, file, u64s(handle, 0, 0))
  expect((await kernel.ask(opcodes.getattr, file, u32s(0, 0, 0, 0))).errno).toBe(ESTALE)
})

test('where it is read-only, it is so here, whatever the guest takes it for', async () => {
  await using kernel = await TestKernel.mount(shared, 'read-only')
  const file = await kernel.find('file')
  const changes = [
    [opcodes.open, file, u32s(O_RDWR, 0)],
    [opcodes.open, file, u32s(0o1000, 0)],
    [opcodes.write, file, writeOf(1, 'x')],
    [opcodes.setattr, file, setattrOf({ mode: 0o600 })],
    [opcodes.create, 1, createOf('new')],
    [opcodes.mknod, 1, Buffer.concat([u32s(0o100644, 0, 0, 0), text('new')])],
    [opcodes.mkdir, 1, Buffer.concat([u32s(0o755, 0), text('new')])],
    [opcodes.symlink, 1, text('new', 'file')],
    [opcodes.link, 1, Buffer.concat([u64s(file), text('new')])],
    [opcodes.unlink, 1, text('file')],
    [opcodes.rmdir, 1, text('sub')],
    [opcodes.rename, 1, Buffer.concat([u64s(1), text('file', 'new')])],
  ] as const
  for (const [opcode, node, body] of changes) expect((await kernel.ask(opcode, node, body)).errno).toBe(EROFS)
  expect(await read(kernel, 'file')).toBe('inside')
  expect(readdirSync(shared).sort()).toEqual(['file', 'sub'])
})

test('a guest has so many files open and no more, and none of what it does not know', async () => {
  await using kernel = await TestKernel.mount(shared, 'read-only')
  const file = await kernel.find('file')
  for (let at = 0; at < 1_024; at++) await open(kernel, file)
  expect((await kernel.ask(opcodes.open, file, u32s(0, 0))).errno).toBe(ENFILE)
  expect((await kernel.ask(opcodes.read, file, readOf(5_000, 10))).errno).toBe(EBADF)
  expect((await kernel.ask(opcodes.getattr, 2n ** 64n - 1n, u32s(0, 0, 0, 0))).errno).toBe(ESTALE)
  expect((await kernel.ask(9_999, 1)).errno).toBe(ENOSYS)
})

test.each([
  ['longer than any', u32s(1 << 20, 3, 1, 0, 1, 0, 0, 0, 0, 0)],
  ['shorter than its head', u32s(7, 3, 1, 0, 1, 0, 0, 0, 0, 0)],
])('a message %s ends the share', async (_, message) => {
  await using kernel = await TestKernel.mount(shared, 'read-only')
  kernel.say(message)
  await expect(kernel.served).rejects.toThrow('a request says that it has')
})

test('whatever a guest says, each request is answered and nothing outside changes', async () => {
  await using kernel = await TestKernel.mount(shared, 'read-write')
  const answered = [opcodes.forget, opcodes.batchForget, opcodes.interrupt, opcodes.init] as readonly number[]
  const draw = drawer(Number(process.env['TESTKERNELS_SEED'] ?? 7))
  const names = ['file', 'sub', '..', '../outside/file', 'x', '', 'sub/file', '/', '\xff']
  const pick = () => names[draw(names.length)] ?? ''
  for (let round = 0; round < 2_000; round++) {
    const opcode = draw(50)
    const noise = u32s(...Array.from({ length: draw(24) }, () => (draw(3) > 0 ? draw(8) : draw(2 ** 32))))
    const body = Buffer.concat([noise, text(pick(), pick())])
    if (!answered.includes(opcode)) await kernel.ask(opcode, draw(8), body)
  }
  expect(readdirSync(outside)).toEqual(['file'])
  expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('secret')
  expect(readdirSync(directory).sort()).toEqual(['outside', 'shared'])
  chmodSync(shared, 0o755)
})

interface SetAttributes {
  readonly mode?: number
  readonly uid?: number
}

function setattrOf({ mode, uid }: SetAttributes): Buffer {
  const valid = (mode === undefined ? 0 : 1) | (uid === undefined ? 0 : 2)
  const times = u64s(0, 0, 0, 0, 0, 0)
  return Buffer.concat([u32s(valid, 0), times, u32s(0, 0, 0, mode ?? 0, 0, uid ?? 0, 0, 0)])
}

/** Numbers below a bound, the same for one seed. */
function drawer(seed: number): (below: number) => number {
  let state = BigInt(seed)
  return (below) => {
    state = BigInt.asUintN(64, state * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n)
    return Number((state >> 33n) % BigInt(below))
  }
}
