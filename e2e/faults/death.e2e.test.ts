// A VM that dies while it is used.
import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import Docker from 'dockerode'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { expect, test } from 'vitest'

const DEATH_DEADLINE_MS = 60_000
const bookworm = new KernelVm({ name: 'dying', kernel: 'debian:bookworm' })

async function death(vm: StartedKernelVm): Promise<Error> {
  if (!vm.gone.aborted) await once(vm.gone, 'abort', { signal: AbortSignal.timeout(DEATH_DEADLINE_MS) })
  return vm.gone.reason
}

function dockerOf({ dockerHost }: StartedKernelVm): Docker {
  return new Docker({ socketPath: dockerHost.slice('unix://'.length) })
}

test('after a kernel panic every request is answered with its reason', async () => {
  const vm = await bookworm.start()
  try {
    const panicking = vm.exec(['sh', '-c', 'echo c >/proc/sysrq-trigger'])
    await expect(panicking).rejects.toMatchObject({ code: 'VM_DIED' })
    const reason = await death(vm)
    expect(reason).toMatchObject({ code: 'VM_DIED', entry: 'dying', output: expect.stringContaining('Kernel panic') })
    expect(reason.message).toMatch(
      /^dying: the VM ended on debian:bookworm, cgroup v2: kernel panic: sysrq triggered crash; console at \S+$/m,
    )
    const [headline] = reason.message.split('\n')
    // The shape of an error of dockerd's, whatever is asked.
    for (const answer of [dockerOf(vm).info(), dockerOf(vm).createContainer({ Image: 'any' })]) {
      await expect(answer).rejects.toMatchObject({ statusCode: 500, json: { message: headline } })
    }
    await expect(vm.exec(['true'])).rejects.toBe(reason)
  } finally {
    await vm.stop()
  }
  await expect(dockerOf(vm).info()).rejects.toMatchObject({ code: 'ENOENT' })
  expect(await readFile(vm.consolePath, 'utf8')).toContain('sysrq triggered crash')
  await rm(vm.consolePath)
})

test("a guest whose dockerd ends is gone, and dockerd's log says more", async () => {
  const vm = await bookworm.start()
  try {
    await vm.exec(['sh', '-c', 'kill -KILL "$(cat /var/run/docker.pid)"']).catch(() => {})
    const reason = await death(vm)
    expect(reason).toMatchObject({ code: 'DOCKERD_FAILED', output: expect.stringContaining('API listen on') })
    expect(reason.message).toMatch(/^dying: the guest's dockerd ended with signal 9 on debian:bookworm, cgroup v2$/m)
    const [headline] = reason.message.split('\n')
    await expect(dockerOf(vm).info()).rejects.toMatchObject({ statusCode: 500, json: { message: headline } })
  } finally {
    await vm.stop()
  }
  await rm(vm.consolePath)
})
