import { expect, test } from 'vitest'
import { parseKernelEntry } from '../../options/index.ts'
import { GuestMisbehavedError } from '../../qemu/index.ts'
import { describeDeath, describeUnresolved, type EndedVm, headlineOf, watchForDeath } from './death.ts'

const entry = parseKernelEntry('old', { kernel: 'debian:bookworm', cgroup: 1 })
const quiet = { path: '/cache/old.log', reason: undefined, excerpt: '[    9.1] last line' }
const silent = { ended: undefined, commandLog: undefined, fault: undefined }
const ofDockerd = (how: string) => ({ of: 'command', how }) as const
const killed: EndedVm = {
  entry,
  exit: { exitCode: 137, oomKilled: false },
  console: quiet,
  control: silent,
  shutdownReason: undefined,
  stderr: '',
}

test('a name that a guest may reach, and that has no address, is the reason that nothing was started', () => {
  const stderr = ['ip: warning', 'testkernels: egress: no address of nosuch.example.org']
  const ended = { exitCode: 82, oomKilled: false }
  expect(describeUnresolved(ended, { stderr, entry: 'old' })).toMatchObject({
    code: 'EGRESS_UNRESOLVED',
    what: expect.stringContaining("'nosuch.example.org'"),
  })
  expect(describeUnresolved({ ...ended, exitCode: 1 }, { stderr, entry: 'old' })).toBeUndefined()
  expect(describeUnresolved(ended, { stderr: [], entry: 'old' })).toBeUndefined()
})

test("a dockerd that ended is the reason, with the end of its log, whatever QEMU's status", () => {
  const plugins = Array.from({ length: 100 }, (_, n) => `level=info msg="loading plugin ${n}"`)
  // From dockerd 26.1 on a kernel without the devices controller.
  const last = "failed to start daemon: Devices cgroup isn't mounted"
  const error = describeDeath({
    ...killed,
    control: { ...silent, ended: ofDockerd('status 1'), commandLog: [...plugins, last, ''].join('\n') },
  })
  expect(error).toMatchObject({ code: 'DOCKERD_FAILED', entry: 'old' })
  expect(headlineOf(error)).toBe("old: the guest's dockerd ended with status 1 on debian:bookworm, cgroup v1")
  expect(error.output?.split('\n')).toHaveLength(20)
  expect(error.output?.endsWith(last)).toBe(true)
})

test('a containerd of a guest without dockerd that ended is the reason, by its name', () => {
  const error = describeDeath({
    ...killed,
    control: { ...silent, ended: ofDockerd('containerd status 1'), commandLog: 'invalid config' },
  })
  expect(error).toMatchObject({ code: 'DOCKERD_FAILED', remedy: expect.stringContaining('config.toml') })
  expect(headlineOf(error)).toBe("old: the guest's containerd ended with status 1 on debian:bookworm, cgroup v1")
})

test('a guest that was ended for what it said died of that, whatever else it says', () => {
  const fault = new GuestMisbehavedError({ what: 'it said too much', remedy: 'none' })
  const control = { ...silent, ended: ofDockerd('status 1'), fault }
  expect(describeDeath({ ...killed, control })).toBe(fault)
})

test('a dockerd that was killed for want of memory says so, and how much the guest has', () => {
  const error = describeDeath({
    ...killed,
    control: { ...silent, ended: ofDockerd('out of memory'), commandLog: 'API listen on' },
  })
  expect(error).toMatchObject({ code: 'DOCKERD_FAILED', remedy: expect.stringContaining('memoryMib is 2048') })
  expect(headlineOf(error)).toBe(
    "old: the guest's dockerd was killed by the OOM killer of its kernel on debian:bookworm, cgroup v1",
  )
})

test.each(['rebooted', 'powered off', 'halted'])('a guest that was %s by a program in it is told as that', (how) => {
  const exit = { exitCode: 0, oomKilled: false }
  const error = describeDeath({ ...killed, exit, control: { ...silent, ended: { of: 'guest', how } } })
  expect(error).toMatchObject({ code: 'VM_DIED', output: quiet.excerpt })
  expect(headlineOf(error)).toBe(
    `old: the guest was ${how} by a program in it on debian:bookworm, cgroup v1; console at /cache/old.log`,
  )
})

test("the guest's own reason comes before QEMU's status, and the console's lines before QEMU's", () => {
  const console = { ...quiet, reason: 'kernel panic: Fatal exception' }
  const error = describeDeath({ ...killed, console, stderr: 'qemu-system-x86_64: terminating' })
  expect(headlineOf(error)).toBe(
    'old: the VM ended on debian:bookworm, cgroup v1: kernel panic: Fatal exception; console at /cache/old.log',
  )
  expect(error).toMatchObject({ code: 'VM_DIED', output: quiet.excerpt })
})

test.each([
  { exit: { exitCode: 137, oomKilled: true }, says: 'QEMU was killed by the memory limit of its container' },
  { exit: { exitCode: 137, oomKilled: false }, says: 'QEMU was killed by SIGKILL' },
  { exit: { exitCode: 1, oomKilled: false }, says: 'QEMU exited with status 1' },
  { exit: { exitCode: 0, oomKilled: false }, says: 'QEMU ended, and did not say why' },
  { exit: { exitCode: undefined, oomKilled: false }, says: 'the Docker engine went away' },
])('$says', ({ exit, says }) => {
  expect(headlineOf(describeDeath({ ...killed, exit }))).toContain(`: ${says}; console at `)
})

test.each([
  { shutdownReason: 'guest-shutdown', says: 'the guest powered off, and its console has no reason' },
  { shutdownReason: 'guest-reset', says: 'the guest reset itself, and its console has no reason' },
  { shutdownReason: 'guest-panic', says: "the guest's kernel panicked, and its console has no reason" },
  { shutdownReason: 'host-signal', says: 'QEMU was told to end: by `docker stop` of its container, or by a signal' },
  { shutdownReason: 'host-\x1b[2Jerror', says: 'QEMU ended, and says why: host-\\x1b[2Jerror' },
])('a QEMU that shut down because of $shutdownReason: $says', ({ shutdownReason, says }) => {
  const exit = { exitCode: 0, oomKilled: false }
  expect(headlineOf(describeDeath({ ...killed, exit, shutdownReason }))).toContain(`: ${says}; console at `)
})

test('QEMU that refused its arguments is quoted', () => {
  const stderr = 'qemu-system-x86_64: -smp 999: Invalid SMP CPUs 999'
  const error = describeDeath({ ...killed, exit: { exitCode: 1, oomKilled: false }, control: undefined, stderr })
  expect(error.output).toBe(stderr)
})

test('a death aborts with its reason', async () => {
  const reason = describeDeath(killed)
  const { gone } = watchForDeath(Promise.resolve(reason), () => {})
  await Promise.resolve()
  expect(gone.reason).toBe(reason)
})

test('a VM that is lost is ended, and died of that', async () => {
  const reason = describeDeath(killed)
  let ends = 0
  const { gone, lose } = watchForDeath(new Promise(() => {}), () => ends++)
  lose(reason)
  expect({ reason: gone.reason, ends }).toEqual({ reason, ends: 1 })
})

test('an end that was asked for is no death', async () => {
  const ended = Promise.resolve(describeDeath(killed))
  const { gone, expectEnd } = watchForDeath(ended, () => {})
  expectEnd()
  await ended
  expect(gone.aborted).toBe(false)
})
