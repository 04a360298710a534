import { expect, test } from 'vitest'
import { ReportCutter } from './index.ts'

function cut(said: readonly string[]) {
  const cutter = new ReportCutter()
  const lines = said.join('\n').split('\n')
  const records = lines.map((text, at) => ({ level: 4, sequence: 100 + at, uptimeUs: 5_000_000 + at * 1000, text }))
  return [...records.flatMap((record) => cutter.push(record)), ...cutter.flush()]
}

const warning = [
  '------------[ cut here ]------------',
  'provoked by a test',
  'WARNING: CPU: 0 PID: 412 at /module/provoke.c:8 provoke_warning+0x12/0x20 [provoke]',
  'Modules linked in: provoke(OE) overlay',
  'RIP: 0010:provoke_warning+0x12/0x20 [provoke]',
  'Call Trace:',
  ' <TASK>',
  ' provoke_write+0x63/0xe0 [provoke]',
  ' </TASK>',
  '---[ end trace 0000000000000000 ]---',
]

/** Each line a millisecond after the one before, and so many of another processor's behind it. */
function amongOthers(lines: readonly string[], { level, count }: { level: number; count: number }) {
  const others = Array.from({ length: count }, (_, at) => ({ level, text: `provoke: line ${at} that babbles` }))
  const said = lines.flatMap((text) => [{ level: 4, text }, ...others])
  const cutter = new ReportCutter()
  const records = said.map((one, at) => ({ ...one, sequence: at, uptimeUs: at * 10 }))
  return [...records.flatMap((record) => cutter.push(record)), ...cutter.flush()]
}

test('what another processor says for debugging in the midst of a report is no part of it', () => {
  const reports = amongOthers(warning, { level: 7, count: 500 })
  expect(reports.map(({ block }) => block.split('\n'))).toEqual([warning])
})

test('what others say as loud as a report uses up none of its own lines', () => {
  const [report, ...more] = amongOthers(warning, { level: 6, count: 50 })
  expect(more).toEqual([])
  expect(report?.title).toBe('WARNING in provoke_warning (/module/provoke.c)')
  const lines = report?.block.split('\n') ?? []
  expect(lines).toEqual(expect.arrayContaining(warning.slice(2)))
  expect(lines.length).toBeLessThan(200)
})

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
