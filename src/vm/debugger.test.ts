import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createLogger } from '../log/index.ts'
import { fakeCore } from './testing/fake-core.ts'
import { type FakeSession, openForEachTest } from './testing/fake-session.ts'

let fake: FakeSession
let directory: string
let path: string

openForEachTest((opened) => {
  fake = opened
  fake.image.memory = fakeCore()
})

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-debugger-'))
  path = join(directory, 'vmcore')
})

afterEach(() => rm(directory, { recursive: true }))

/** A VM's QEMU is the last that was started. */
const qemu = () => {
  const last = fake.image.qemus.at(-1)
  if (last === undefined) throw new Error('no VM was started')
  return last
}

/** Something of the memory is on the disk, and it does not have its name yet. */
const begun = () => vi.waitFor(async () => expect(await readdir(directory)).toHaveLength(1))

describe('the memory of a VM', () => {
  test('is saved for its owner alone, and the VM goes on with the time of now', async () => {
    await using vm = await fake.launch()
    fake.image.told.length = 0
    const saved = await vm.debugger.saveVmcore(path)
    const { mode, size } = await stat(path)
    expect(saved).toEqual({ path, sizeBytes: size, hasVmcoreinfo: true })
    expect(mode & 0o777).toBe(0o600)
    expect(fake.image.told).toContainEqual(expect.stringMatching(/^time /))
    expect(vm.gone.aborted).toBe(false)
  })

  test('replaces what was saved before', async () => {
    await using vm = await fake.launch()
    await writeFile(path, 'older')
    await vm.debugger.saveVmcore(path)
    expect((await stat(path)).size).toBeGreaterThan(4096)
    expect(await readdir(directory)).toEqual(['vmcore'])
  })

  test('that comes in part leaves nothing, nor anything else than there was', async () => {
    await using vm = await fake.launch()
    await writeFile(path, 'older')
    fake.image.memory = Buffer.alloc(4096, 'no core')
    await expect(vm.debugger.saveVmcore(path)).rejects.toMatchObject({ code: 'VMCORE_NOT_SAVED', entry: 'fake' })
    expect((await stat(path)).size).toBe('older'.length)
    expect(await readdir(directory)).toEqual(['vmcore'])
  })

  test('that cannot be written anywhere says so, and the VM lives', async () => {
    await using vm = await fake.launch()
    await expect(vm.debugger.saveVmcore(join(directory, 'nowhere', 'vmcore'))).rejects.toThrow('ENOENT')
    expect(vm.gone.aborted).toBe(false)
  })

  test('that is called off leaves nothing, and the VM lives', async () => {
    await using vm = await fake.launch()
    // The rest does not come.
    fake.image.memory = fakeCore().subarray(0, -5000)
    const abort = new AbortController()
    const saving = vm.debugger.saveVmcore(path, { signal: abort.signal })
    await begun()
    abort.abort(new Error('called off'))
    await expect(saving).rejects.toThrow('called off')
    expect(await readdir(directory)).toEqual([])
    expect(vm.gone.aborted).toBe(false)
  })

  test('of a VM that is stopped meanwhile is not saved', async () => {
    const vm = await fake.launch()
    fake.image.memory = fakeCore().subarray(0, -5000)
    const saving = vm.debugger.saveVmcore(path)
    const failed = expect(saving).rejects.toThrow()
    await begun()
    await vm.stop()
    await failed
    expect(await readdir(directory)).toEqual([])
  })
})

describe('at a panic', () => {
  const ended = async (gone: AbortSignal) => {
    if (!gone.aborted) await new Promise((resolve) => gone.addEventListener('abort', resolve, { once: true }))
    return gone.reason as Error
  }
  const guestEnds = (reason: string) => qemu().tell({ event: 'SHUTDOWN', data: { guest: true, reason } })

  test('the memory is saved where it was last asked for, and then the end is told as it was', async () => {
    await using vm = await fake.launch()
    await vm.debugger.saveVmcoreAtPanic(join(directory, 'first'))
    await vm.debugger.saveVmcoreAtPanic(path)
    expect(qemu().commands).toContain('set-action')
    guestEnds('guest-reset')
    expect((await ended(vm.gone)).message).toContain('the guest reset itself')
    expect(await readdir(directory)).toEqual(['vmcore'])
  })

  test('what a command that failed of it wants saved waits for its turn, and for the end', async () => {
    await using vm = await fake.launch()
    await vm.debugger.saveVmcoreAtPanic(path)
    expect(await vm.debugger.settled()).toBe('runs')
    const running = vm.debugger.saveVmcore(join(directory, 'first'))
    qemu().stopGuest('shutdown')
    guestEnds('guest-reset')
    expect((await running).path).toBe(join(directory, 'first'))
    expect(await vm.debugger.settled()).toBe('ended')
    expect(vm.gone.aborted).toBe(true)
    expect((await readdir(directory)).toSorted()).toEqual(['first', 'vmcore'])
  })

  test('a power-off is none', async () => {
    await using vm = await fake.launch()
    await vm.debugger.saveVmcoreAtPanic(path)
    guestEnds('guest-shutdown')
    expect((await ended(vm.gone)).message).toContain('the guest powered off')
    expect(await readdir(directory)).toEqual([])
  })

  test('what could not be saved is a warning, and no other end', async () => {
    const lines: string[] = []
    const log = createLogger({ write: (line) => lines.push(line), level: 'info' })
    await using vm = await fake.launch({ log })
    await vm.debugger.saveVmcoreAtPanic(join(directory, 'nowhere', 'vmcore'))
    guestEnds('guest-reset')
    expect((await ended(vm.gone)).message).toContain('the guest reset itself')
    expect(lines.join('\n')).toContain('warning: fake: the memory of the VM cannot be saved')
  })

  test('a VM that is stopped while its memory is saved leaves nothing', async () => {
    const vm = await fake.launch()
    fake.image.memory = fakeCore().subarray(0, -5000)
    await vm.debugger.saveVmcoreAtPanic(path)
    guestEnds('guest-reset')
    await begun()
    await vm.stop()
    expect(await readdir(directory)).toEqual([])
  })
})

describe('gdb', () => {
  const talk = async (path: string) => {
    const socket = connect(path)
    socket.write('$?#3f')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    expect(answer.toString()).toBe('$?#3f')
    return socket
  }

  test('is carried to QEMU through a socket for the owner alone, which says where the kernel is', async () => {
    await using vm = await fake.launch()
    const gdb = await vm.debugger.openGdb()
    expect(gdb.kernelOffset).toBe(0x1a00000n)
    expect((await stat(gdb.socket)).mode & 0o777).toBe(0o600)
    expect(gdb.modules).toEqual([
      { name: 'nf_tables', file: 'kernel/net/netfilter/nf-tables.ko', sections: { '.text': 0xffff_ffff_c040_0000n } },
      {
        name: 'overlay',
        file: 'kernel/fs/overlayfs/overlay.ko',
        sections: { '.text': 0xffff_ffff_c020_3000n, '.data..read_mostly': 0xffff_ffff_c021_0080n },
      },
      { name: 'provoke', file: undefined, sections: { '.text': 0xffff_ffff_c030_0000n } },
    ])
    expect(await vm.debugger.openGdb()).toEqual(gdb)
    const socket = await talk(gdb.socket)
    socket.destroy()
  })

  test('that leaves, in whatever way, leaves a guest that goes on with the time of now', async () => {
    await using vm = await fake.launch()
    const { socket: path } = await vm.debugger.openGdb()
    const socket = await talk(path)
    fake.image.told.length = 0
    expect(qemu().commands.at(-1)).not.toBe('cont')
    socket.destroy()
    await vi.waitFor(() => expect(qemu().commands.at(-1)).toBe('cont'))
    await vi.waitFor(() => expect(fake.image.told).toContainEqual(expect.stringMatching(/^time /)))
    expect(vm.gone.aborted).toBe(false)
  })

  test('that gives up its turn leaves the guest to the one that has it', async () => {
    await using vm = await fake.launch()
    const { socket: path } = await vm.debugger.openGdb()
    const resumed = () => qemu().commands.filter((command) => command === 'cont').length
    const [has, waits] = [await talk(path), await talk(path)]
    const before = resumed()
    waits.destroy()
    ;(await talk(path)).destroy()
    has.destroy()
    fake.image.told.length = 0
    await vi.waitFor(() => expect(fake.image.told).toContainEqual(expect.stringMatching(/^time /)))
    expect(resumed()).toBe(before + 1)
  })

  test('that is there keeps no VM from its end', async () => {
    const vm = await fake.launch()
    const { socket: path } = await vm.debugger.openGdb()
    const socket = await talk(path)
    const closed = once(socket, 'close')
    await vm.stop()
    await closed
    await expect(stat(path)).rejects.toThrow('ENOENT')
  })
})
