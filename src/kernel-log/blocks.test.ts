import { expect, test } from 'vitest'
import { ReportCutter } from './index.ts'

function cut(said: readonly string[]) {
  const cutter = new ReportCutter()
  const lines = said.join('\n').split('\n')
  const records = lines.map((text, at) => ({ level: 4, sequence: 100 + at, uptimeUs: 5_000_000 + at * 1000, text }))
  return [...records.flatMap((record) => cutter.push(record)), ...cutter.flush()]
}

/** As 6.1 prints it. */
const leak = (address: string, caller: string) => `kmemleak: unreferenced object 0x${address} (size 32):
kmemleak:   comm "insmod", pid 2088, jiffies 4294680594 (age 6.486s)
kmemleak:   hex dump (first 32 bytes):
kmemleak:     6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b 6b  kkkkkkkkkkkkkkkk
kmemleak:   backtrace:
kmemleak:     [<00000000e0a73ec7>] __kmem_cache_alloc_node+0x1c1/0x2a0
kmemleak:     [<00000000a5b1c2d3>] kmalloc_trace+0x26/0xa0
kmemleak:     [<000000000c5d2a46>] ${caller}+0x41/0x1df [kmemleak_test]
kmemleak:     [<000000000c5d2a47>] do_one_initcall+0x41/0x1df`

const summary = 'kmemleak: 2 new suspected memory leaks (see /sys/kernel/debug/kmemleak)'

test('what a kernel has lost is named after who allocated it; how much that was is no report of its own', () => {
  const [one, other] = [leak('ffff888003d1e000', 'kmemleak_test_init'), leak('ffff888003d1e040', 'f')]
  const reports = cut([one, other, summary, 'docker0: port 1(veth12ab) entered disabled state'])
  expect(reports.map(({ title }) => title)).toEqual(['memory leak in kmemleak_test_init', 'memory leak in f'])
  expect(reports[1]?.block.split('\n').slice(-2)).toEqual([
    '    [<000000000c5d2a47>] do_one_initcall+0x41/0x1df',
    '2 new suspected memory leaks (see /sys/kernel/debug/kmemleak)',
  ])
})

/** As 6.1 says it in /dev/kmsg, where one message may be lines. */
test('a message of several lines is that many, and what the kernel has escaped in it is as it was', () => {
  const said = [
    'WARNING: possible circular locking dependency detected',
    'modprobe/367 is trying to acquire lock:',
    '\\x0abut task is already holding lock:',
    'C:\\x5cf\\x09of a file system\\x1b',
    '\\x0astack backtrace:',
    'Call Trace:',
    ' f+0x1/0x2\\x0a',
    'docker0: port 1(veth12ab) entered disabled state',
  ]
  expect(cut(said).map(({ block }) => block.split('\n'))).toEqual([
    [
      said[0],
      said[1],
      '',
      'but task is already holding lock:',
      'C:\\f\tof a file system\\x1b',
      '',
      'stack backtrace:',
      'Call Trace:',
      ' f+0x1/0x2',
    ],
  ])
})

test('lockdep names its states with more than one word', () => {
  const said = [
    'WARNING: SOFTIRQ-READ-safe -> SOFTIRQ-READ-unsafe lock order detected',
    'WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected',
  ]
  expect(said.flatMap((line) => cut([line]).map(({ kind }) => kind))).toEqual(['locking', 'locking'])
})
