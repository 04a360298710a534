// Clones that are ready before anybody asks for them.
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { expect, test } from 'vitest'
import { docker } from '../support/docker.ts'
import { Remains } from '../support/remains.ts'

const SPARE_DEADLINE_MS = 60_000
/** The requirement for a clone's wall clock. */
const CLOCK_TOLERANCE_MS = 50

/** Forks until one comes from a spare: how soon there is one is the machine's affair. */
async function forkOfSpare(vm: StartedKernelVm): Promise<StartedKernelVm> {
  const deadline = AbortSignal.timeout(SPARE_DEADLINE_MS)
  for (;;) {
    deadline.throwIfAborted()
    const fork = await vm.fork()
    if (fork.steps.some(({ name }) => name === 'spare')) return fork
    await fork.stop()
  }
}

test('a fork of a spare is itself, has the time of now, and nothing of all that is left at the end', async () => {
  const remains = await Remains.before()
  const vm = await new KernelVm({ name: 'spared', kernel: 'debian:bookworm', spares: 2 }).start()
  const one = await forkOfSpare(vm)
  const other = await forkOfSpare(vm)
  const names = [vm, one, other].map((each) => docker(each, ['info', '--format', '{{.Name}}']))
  expect(new Set(await Promise.all(names)).size).toBe(3)
  const random = [one, other].map((each) => each.exec(['cat', '/proc/sys/kernel/random/uuid']))
  expect(new Set((await Promise.all(random)).map(({ stdout }) => stdout)).size).toBe(2)
  for (const fork of [one, other]) {
    const before = Date.now()
    const guestMs = Number((await fork.exec(['date', '+%s.%N'])).stdout) * 1000
    expect(guestMs).toBeGreaterThan(before - CLOCK_TOLERANCE_MS)
    expect(guestMs).toBeLessThan(Date.now() + CLOCK_TOLERANCE_MS)
  }
  await Promise.all([one, other, vm].map((each) => each.stop()))
  expect(await remains.added()).toEqual([])
})
