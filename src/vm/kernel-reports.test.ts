import { expect, test, vi } from 'vitest'
import { orAborted } from '../lifetime/index.ts'
import { createLogger } from '../log/index.ts'
import { parseKernelEntry } from '../options/index.ts'
import { KernelLogPort } from '../qemu/control-kernel-log.ts'
import { judge, KernelReports, reportedError } from './kernel-reports.ts'

const DEADLINE_MS = 10_000
const warning = (sequence: number, name = 'f') =>
  `4 ${sequence} 1000 WARNING: CPU: 1 PID: 1 at a/b.c:1 ${name}+0x1/0x2\n4 ${sequence + 1} 1001 ---[ end trace 0 ]---`

/** Reports of a kernel that says what `say` is given; a question is answered with what `answer` gives. */
function reportsOf(
  kernelReports: unknown = {},
  answer: () => string | undefined = () => '',
  locate?: (block: string, signal: AbortSignal) => Promise<string>,
) {
  const said: string[] = []
  const port: KernelLogPort = new KernelLogPort((line) => {
    const [, number] = /^kernel-log ask (\d+)\n$/.exec(line) ?? []
    if (number === undefined) return
    queueMicrotask(() => {
      const lines = answer()
      if (lines !== undefined) port.take(`${number} 100 0 0 0\n${lines}`)
    })
  })
  const reports = new KernelReports({
    entry: parseKernelEntry('v1', { kernel: 'debian:bookworm', kernelReports }),
    accelerator: 'tcg',
    port,
    log: createLogger({ write: (line) => said.push(line), level: 'debug' }),
    ...(locate !== undefined && { locate }),
  })
  const say = (lines: string, missing = '0 0') => port.take(`0 100 ${missing} 0\n${lines}`)
  return { reports, port, say, said }
}

const titlesOf = ({ all }: KernelReports) => all.map(({ title, verdict }) => [title, verdict])

test('a report is told once for its title, to who listens and in the log', () => {
  const { reports, port, say, said } = reportsOf()
  const heard: string[] = []
  using _listener = reports.onReport(({ title }) => heard.push(title))
  reports.follow('now')
  say(`${warning(1)}\n${warning(3)}\n${warning(5, 'g')}`)
  expect(heard).toEqual(['WARNING in f (a/b.c)', 'WARNING in g (a/b.c)'])
  expect(said).toEqual([
    'warning: the kernel reported: WARNING in f (a/b.c)',
    'warning: the kernel reported: WARNING in g (a/b.c)',
  ])
  port.close()
})

test('what a kernel says as it boots fails nobody', () => {
  const { reports, port, say } = reportsOf()
  reports.follow('boot')
  say(warning(1))
  expect(titlesOf(reports)).toEqual([['WARNING in f (a/b.c)', 'warn']])
  port.close()
})

test('what a kernel says again after its boot is not the boot', async () => {
  let lines = warning(1)
  const { reports } = reportsOf({}, () => lines)
  const signal = AbortSignal.timeout(DEADLINE_MS)
  await reports.settle(signal)
  reports.booted()
  lines = `${warning(3)}\n${warning(5)}`
  await reports.settle(signal)
  expect(titlesOf(reports)).toEqual([
    ['WARNING in f (a/b.c)', 'warn'],
    ['WARNING in f (a/b.c)', 'fail'],
  ])
})

test('a kernel with more to report than anybody reads is told of, once', () => {
  const { reports, port, say, said } = reportsOf()
  reports.follow('now')
  say(Array.from({ length: 102 }, (_, at) => warning(2 * at + 1, `f${at}`)).join('\n'))
  expect(reports.all).toHaveLength(100)
  const leftOut = 'the kernel has reported 100 things; what else it reports is left out'
  expect(said.slice(100)).toEqual([`warning: ${leftOut}`, leftOut])
  port.close()
})

test('a listener that throws holds up no report, and is no fault of the guest', async () => {
  const { reports, port, say } = reportsOf()
  const uncaught: unknown[] = []
  const listeners = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.once('uncaughtException', (thrown) => uncaught.push(thrown))
  reports.onReport(() => {
    throw new Error('of a test')
  })
  reports.follow('now')
  expect(() => say(warning(1))).not.toThrow()
  await new Promise((resolve) => setImmediate(resolve))
  for (const listener of listeners) process.on('uncaughtException', listener)
  expect(uncaught).toEqual([new Error('of a test')])
  expect(titlesOf(reports)).toEqual([['WARNING in f (a/b.c)', 'fail']])
  port.close()
})

test('a guest that does not say what its kernel said is told of, once', async () => {
  vi.useFakeTimers()
  const { reports, said } = reportsOf({}, () => undefined)
  for (let settles = 0; settles < 2; settles++) {
    const settled = reports.settle(new AbortController().signal)
    await vi.advanceTimersByTimeAsync(5_000)
    expect(await settled).toBe(false)
  }
  vi.useRealTimers()
  const silent = 'the guest did not say within 5 s what its kernel said: a report may come when its test is over'
  expect(said).toEqual([`warning: ${silent}`, silent])
})

test('settled is what was said until then, a report that is still being printed with its end', async () => {
  let lines = [
    '4 0 1000 ------------[ cut here ]------------',
    '4 1 1000 WARNING: CPU: 1 PID: 1 at a/b.c:1 f+0x1/0x2',
    '4 2 1001  line',
    '4 3 1002 ---[ end trace 0 ]---',
  ]
  const { reports } = reportsOf({}, () => {
    const [line = '', ...rest] = lines
    lines = rest
    return line
  })
  reports.booted()
  expect(await reports.settle(AbortSignal.timeout(DEADLINE_MS))).toBe(true)
  expect(reports.all[0]?.block.split('\n')).toHaveLength(4)
  expect(reports.through).toBe(100)
})

test('reports are told with their places, in the order in which they came, and settled is when they are', async () => {
  const looking: ((places: string) => void)[] = []
  const { reports, port, say } = reportsOf({}, undefined, (block) => {
    return new Promise((resolve) => looking.push((places) => resolve(`${block} ${places}`)))
  })
  reports.follow('now')
  say(`${warning(1)}\n${warning(3, 'g')}`)
  const settled = reports.settle(AbortSignal.timeout(DEADLINE_MS))
  await vi.waitFor(() => expect(looking).toHaveLength(1))
  expect(reports.all).toEqual([])
  looking[0]?.('(a/b.c:1)')
  await vi.waitFor(() => expect(looking).toHaveLength(2))
  expect(reports.all.map(({ title }) => title)).toEqual(['WARNING in f (a/b.c)'])
  looking[1]?.('(a/b.c:2)')
  expect(await settled).toBe(true)
  expect(reports.all.map(({ block }) => block.split(' ').at(-1))).toEqual(['(a/b.c:1)', '(a/b.c:2)'])
  port.close()
})

test('where places cannot be looked up, or the VM is stopped meanwhile, reports are told without', async () => {
  const failing = reportsOf({}, undefined, () => Promise.reject(new Error('no such image')))
  failing.reports.follow('now')
  failing.say(`${warning(1)}\n${warning(3, 'g')}`)
  await failing.reports.settle(AbortSignal.timeout(DEADLINE_MS))
  expect(failing.reports.all.map(({ title }) => title)).toEqual(['f', 'g'].map((name) => `WARNING in ${name} (a/b.c)`))
  expect(failing.said.filter((line) => line.includes('no such image'))).toHaveLength(1)
  failing.port.close()

  const stopped = reportsOf({}, undefined, (_, signal) => orAborted(new Promise<string>(() => {}), signal))
  stopped.reports.follow('now')
  stopped.say(warning(1))
  await stopped.reports.close()
  expect(titlesOf(stopped.reports)).toEqual([['WARNING in f (a/b.c)', 'fail']])
  expect(stopped.said).toEqual(['warning: the kernel reported: WARNING in f (a/b.c)'])
  stopped.port.close()
})

test('a guest that is gone settles nothing', async () => {
  const { reports } = reportsOf()
  expect(await reports.settle(AbortSignal.abort(new Error('gone')))).toBe(false)
})

test('lines that are missing are told with the number before them, and warned of once', async () => {
  const { reports, port, said } = reportsOf()
  reports.follow('now')
  const drained = reports.settle(AbortSignal.timeout(DEADLINE_MS))
  port.take('0 812 7 0 0\n')
  port.take('1 900 9 3 0\n')
  await drained
  const missing = 'before they were read: a report may be missing'
  expect(said).toEqual([
    `warning: the kernel wrote over 7 lines of its log ${missing}`,
    `the kernel wrote over 9 lines of its log after number 812 ${missing}`,
    'the kernel says so much that 3 lines of its log after number 812 were left out; those of reports are not',
  ])
  port.close()
})

const stall = {
  kind: 'rcu-stall',
  title: 'RCU stall (rcu_sched)',
  headline: 'rcu: INFO: rcu_sched self-detected stall on CPU',
} as const
const bug = { kind: 'bug', title: 'kernel BUG at a.c', headline: 'kernel BUG at a.c:12!' } as const

test.each([
  [{}, stall, 'tcg', 'warn'],
  [{}, stall, 'kvm', 'fail'],
  [{}, bug, 'tcg', 'fail'],
  ['fail', stall, 'tcg', 'fail'],
  ['warn', bug, 'kvm', 'warn'],
  [{ fail: ['rcu-stall'] }, stall, 'tcg', 'fail'],
  [{ ignore: ['bug'] }, bug, 'kvm', 'ignore'],
  [{ warn: ['bug'] }, stall, 'kvm', 'fail'],
] as const)('with %j a report of %o under %s: %s', (kernelReports, report, accelerator, verdict) => {
  const entry = parseKernelEntry('v1', { kernel: 'debian:bookworm', kernelReports })
  expect(judge(report, entry, { accelerator, isBooting: false })).toEqual({ verdict })
})

test('what is allowed fails nobody, and says why; its pattern is looked for in the title and in the first line', () => {
  const allow = [
    { pattern: 'BUG at a\\.c:12', reason: 'fixed in 6.2' },
    { pattern: '^RCU stall', reason: 'slow' },
  ]
  const entry = parseKernelEntry('v1', { kernel: 'debian:bookworm', kernelReports: { fail: ['bug'], allow } })
  const judged = (report: typeof bug | typeof stall) => judge(report, entry, { accelerator: 'kvm', isBooting: false })
  expect(judged(bug)).toEqual({ verdict: 'ignore', allowed: 'fixed in 6.2' })
  expect(judged(stall)).toEqual({ verdict: 'ignore', allowed: 'slow' })
})

test('the error has the title, the kernel and the block', () => {
  const { reports, port, say } = reportsOf()
  reports.follow('now')
  say(warning(1))
  const [report] = reports.all
  if (report === undefined) throw new Error('no report')
  const error = reportedError(report, parseKernelEntry('v1', { kernel: 'debian:bookworm', cgroup: 1 }))
  expect(error.code).toBe('KERNEL_REPORTED')
  expect(error.message).toContain('v1: the kernel reported WARNING in f (a/b.c) on debian:bookworm, cgroup v1')
  expect(error.message).toContain('| ---[ end trace 0 ]---')
  port.close()
})
