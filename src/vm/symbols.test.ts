import { expect, test } from 'vitest'
import type { Box, BoxSpec, Host } from '../host/index.ts'
import { silentLogger } from '../log/index.ts'
import { withPlaces } from './symbols.ts'

interface Looked {
  readonly spec: BoxSpec
  stopped: boolean
}

/** A host whose box says `lines`, and ends with a status, or runs on until it is stopped. */
function hostOf(lines: readonly string[], exitCode: number | 'runs on' = 0) {
  const looked: Looked[] = []
  const run: Host['run'] = async (spec) => {
    const one: Looked = { spec, stopped: false }
    looked.push(one)
    let end = () => {}
    const ended = new Promise<void>((resolve) => {
      end = resolve
    })
    const exit = { exitCode: exitCode === 'runs on' ? 137 : exitCode, oomKilled: false }
    const stop = async () => {
      one.stopped = true
      end()
      return exit
    }
    const output = (said: readonly string[]) => ({
      kept: said,
      tail: () => said.join('\n'),
      async *[Symbol.asyncIterator]() {
        yield* said
        if (exitCode === 'runs on') await ended
      },
    })
    const box: Pick<Box, 'stdout' | 'stderr' | 'exited' | 'stop'> & AsyncDisposable = {
      stdout: output(lines),
      stderr: output(['eu-readelf: no such file']),
      exited: exitCode === 'runs on' ? ended.then(() => exit) : Promise.resolve(exit),
      stop,
      [Symbol.asyncDispose]: async () => void (await stop()),
    }
    return box as Box
  }
  return { looked, parts: { host: { run }, image: 'image', entry: 'v2', log: silentLogger } }
}

const never = new AbortController().signal

test('each function gets the places that are known, wherever in a line it stands', async () => {
  const { looked, parts } = hostOf([
    '2 fs/read_write.c:582',
    '4 include/x.h:3 drivers/misc/lkdtm/core.c:12',
    '1 mm/slab.c:7',
  ])
  const block = `BUG: KASAN: slab-use-after-free in f.isra.0+0x1c/0x30
RIP: 0010:vfs_write+0x215/0xd50
 <TASK>
 ? vfs_write+0x215/0xd50
 do_it+0x5/0x10 [my-module]
 other+0x5/0x10 [your_module 0123456789abcdef]
 last enabled at (12): [<ffffffff81000000>] f.isra.0+0x1c/0x30
 0xffffffff81000000`
  expect(
    await withPlaces(block, parts, never),
  ).toBe(`BUG: KASAN: slab-use-after-free in f.isra.0+0x1c/0x30 (mm/slab.c:7)
RIP: 0010:vfs_write+0x215/0xd50 (fs/read_write.c:582)
 <TASK>
 ? vfs_write+0x215/0xd50
 do_it+0x5/0x10 [my-module] (include/x.h:3 drivers/misc/lkdtm/core.c:12)
 other+0x5/0x10 [your_module 0123456789abcdef]
 last enabled at (12): [<ffffffff81000000>] f.isra.0+0x1c/0x30 (mm/slab.c:7)
 0xffffffff81000000`)
  expect(looked.map(({ spec }) => spec.command)).toEqual([
    [
      '/testkernels/debug',
      'vmlinux:f.isra.0:1c:30:1',
      // Where the processor was; and the call before the address to return to.
      'vmlinux:vfs_write:215:d50:0',
      'vmlinux:vfs_write:215:d50:1',
      'my_module:do_it:5:10:1',
      'your_module:other:5:10:1',
    ],
  ])
  expect(looked.every(({ stopped }) => stopped)).toBe(true)
})

test('nothing is started for a report without functions', async () => {
  const { looked, parts } = hostOf([])
  expect(await withPlaces('BUG: Bad page state', parts, never)).toBe('BUG: Bad page state')
  expect(looked).toEqual([])
})

test('what looks them up and fails says why', async () => {
  const { parts } = hostOf([], 1)
  await expect(withPlaces('f+0x1/0x2', parts, never)).rejects.toThrow('status 1: eu-readelf: no such file')
})

test('what does not end is ended when its time is over', async () => {
  const { looked, parts } = hostOf(['1 a.c:1'], 'runs on')
  const over = new AbortController()
  const looking = withPlaces('f+0x1/0x2', parts, over.signal)
  over.abort(new Error('its time is over'))
  await expect(looking).rejects.toThrow('its time is over')
  expect(looked[0]?.stopped).toBe(true)
})
