// What a program of its own hears of its VM's kernel, and an entry of `run --matrix`.
import { join } from 'node:path'
import { KernelVm } from 'testkernels'
import { expect, test } from 'vitest'
import { createLogger } from '../../../src/log/index.ts'
import { baseImage, fixtureTar } from '../../support/env.ts'
import { expectKernelReports } from '../../support/false-alarms.ts'
import { testkernels } from '../../support/run.ts'

expectKernelReports()

const fixture = join(import.meta.dirname, '../../../fixtures/kernel-reports')
const rootfs = { dockerfile: join(fixture, 'rootfs/Dockerfile'), buildArgs: { BASE: baseImage } }
const kernel = new KernelVm({ kernel: 'debian:trixie', rootfs }).withName('by-hand')
const warning = 'WARNING in provoke_warning (/module/provoke.c)'

const provoke = (...words: readonly string[]) => [
  'sh',
  '-c',
  ['insmod /provoke.ko 2>/dev/null', ...words.map((word) => `(echo ${word} >/proc/provoke)`)].join('; '),
]

test('a VM hears each report of its kernel once; its fork hears none of them', async () => {
  await using vm = await kernel.start()
  const heard: string[] = []
  using _listener = vm.onKernelReport(({ title }) => heard.push(title))
  expect(vm.kernelReports).toEqual([])
  await vm.exec(provoke('warning', 'warning', 'bug', 'null'))
  const reports = await vm.settleKernelReports()
  expect(reports.map(({ title, kind, verdict }) => [title, kind, verdict])).toEqual([
    [warning, 'warning', 'fail'],
    ['kernel BUG at /module/provoke.c', 'bug', 'fail'],
    ['BUG: kernel NULL pointer dereference in provoke_null', 'oops', 'fail'],
  ])
  expect(heard).toEqual(reports.map(({ title }) => title))
  for (const { block } of reports) expect(block).toContain('provoke_write+0x')
  await using checkpoint = await vm.checkpoint()
  await using fork = await checkpoint.fork()
  expect((await fork.exec(['dmesg'])).stdout).toContain('kernel BUG at /module/provoke.c')
  expect(await fork.settleKernelReports()).toEqual([])
  // A program that writes to the log is not the kernel.
  await fork.exec([
    'sh',
    '-c',
    'echo "WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2" >/dev/kmsg; echo "<4>kernel BUG at a.c:1!" >/dev/kmsg',
  ])
  expect(await fork.settleKernelReports()).toEqual([])
})

test('a kernel that floods its log is heard, and slows nobody', async () => {
  await using vm = await kernel.start()
  const lines = 100_000
  const beganMs = performance.now()
  await vm.exec(provoke(`flood ${lines}`))
  const floodedMs = performance.now() - beganMs
  expect((await vm.settleKernelReports()).map(({ title }) => title)).toEqual([warning])
  const settledMs = performance.now() - beganMs - floodedMs
  console.log(`${lines} lines in ${floodedMs.toFixed(0)} ms; known ${settledMs.toFixed(1)} ms later`)
})

test('a report among what two others say at the same time is heard to its end', async () => {
  const lines: string[] = []
  const log = createLogger({ write: (line) => lines.push(line) })
  await using vm = await kernel.withCpus(2).start({ log })
  // Below the level of the console as well.
  await vm.exec('echo 4 >/proc/sys/kernel/printk; insmod /provoke.ko')
  const say = (what: string) => `echo ${what} >/proc/provoke`
  await vm.exec(`${say('babble 30000 50')} & ${say('babble 30000 50')} & ${say('flood 20000')}; wait`)
  const [report, ...others] = await vm.settleKernelReports()
  expect(others, lines.join('\n')).toEqual([])
  expect(report?.title, lines.join('\n')).toBe(warning)
  expect(report?.block).toMatch(/Call Trace:[\s\S]*provoke_write\S*\+0x[\s\S]*---\[ end trace/)
})

test('a kernel that wrote over what nobody had read yet is told to have, and what it reports next is heard', async () => {
  const lines: string[] = []
  const log = createLogger({ write: (line) => lines.push(line) })
  await using vm = await kernel.withCpus(1).start({ log })
  // Twice what its ring has room for.
  await vm.exec(provoke('burst 60000', 'warning'))
  expect((await vm.settleKernelReports()).map(({ title }) => title)).toEqual([warning])
  expect(lines).toContainEqual(
    expect.stringMatching(/the kernel wrote over \d+ lines of its log after number \d+ before they were read/),
  )
})

test('a task that hangs is told of, and fails where its entry says so', async () => {
  const hang = [
    'echo 1 >/proc/sys/kernel/hung_task_timeout_secs',
    'mount -t tmpfs none /mnt && truncate -s 64M /mnt/disk && mkfs.ext2 /mnt/disk && mkdir /frozen && mount -t ext4 -o loop /mnt/disk /frozen',
    'fsfreeze -f /frozen && (touch /frozen/file &) && until dmesg | grep -q "blocked for more than"; do sleep 0.2; done',
    'fsfreeze -u /frozen',
  ].join(' && ')
  await using vm = await kernel.withKernelReports({ fail: ['hung-task'] }).start()
  const { exitCode, stderr } = await vm.exec(['sh', '-c', hang])
  expect(exitCode, stderr).toBe(0)
  expect(await vm.settleKernelReports()).toMatchObject([
    { kind: 'hung-task', title: 'hung task: touch', verdict: 'fail' },
  ])
})

test('run --matrix fails the entry, whatever its command says', async () => {
  const run = 'docker run --rm --privileged'
  const script = `${run} -v /provoke.ko:/provoke.ko testkernels-fixture/busybox insmod /provoke.ko && ${run} testkernels-fixture/busybox sh -c 'echo warning >/proc/provoke' && echo through`
  const env = { BASE: baseImage, FIXTURE_TAR: fixtureTar }
  await using matrix = await testkernels(['run', '--matrix', join(fixture, 'matrix.cjs'), '--', 'sh', '-c', script], {
    env,
  })
  expect(await matrix.program.exit).toEqual({ code: 1, signal: null })
  expect(matrix.program.stdout).toContain('[one] through')
  expect(matrix.program.stderr).toContain(`failed: the kernel reported ${warning}`)
  await matrix.gone()
})
