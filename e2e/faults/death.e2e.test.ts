// A VM that dies while it is used.
import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import Docker from 'dockerode'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { expect, test } from 'vitest'
import { testkernels } from '../support/run.ts'

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

const runlevel0 = "printf '\\151\\031\\011\\003\\001\\000\\000\\000\\060\\000\\000\\000'"

test.each([
  ['rebooted', 'reboot'],
  ['powered off', 'poweroff'],
  ['halted', 'halt'],
  // What systemd's and sysvinit's tools do.
  ['powered off', 'kill -38 1'],
  ['powered off', `{ ${runlevel0}; head -c 372 /dev/zero; } | dd bs=384 iflag=fullblock of=/run/initctl`],
])('a guest that was %s by `%s` is told as that', async (how, command) => {
  const vm = await bookworm.start()
  try {
    // Those who ask do not wait.
    await vm.exec(['sh', '-c', command]).catch(() => {})
    const reason = await death(vm)
    expect(reason).toMatchObject({ code: 'VM_DIED', output: expect.stringContaining(`the guest was ${how}`) })
    expect(reason.message).toMatch(
      new RegExp(`^dying: the guest was ${how} by a program in it on debian:bookworm, cgroup v2; console at `),
    )
  } finally {
    await vm.stop()
  }
  await rm(vm.consolePath)
})

test('a guest that resets itself is told as that', async () => {
  const vm = await bookworm.start()
  try {
    await vm.exec(['sh', '-c', 'echo b >/proc/sysrq-trigger']).catch(() => {})
    expect(await death(vm)).toMatchObject({
      code: 'VM_DIED',
      message: expect.stringContaining('the guest reset itself, and its console has no reason; console at '),
    })
  } finally {
    await vm.stop()
  }
  await rm(vm.consolePath)
})

test('a QEMU that is told to end is told as that', async () => {
  await using run = await testkernels([
    ...['run', '--kernel', 'debian:bookworm', '--', 'sh', '-c'],
    'echo up; exec sleep 1000',
  ])
  await run.program.printed('stdout', /^up$/m)
  const [qemu = Number.NaN] = await run.qemus()
  process.kill(qemu, 'SIGTERM')
  await run.program.exit
  expect(run.program.stderr).toContain('QEMU was told to end: by `docker stop` of its container, or by a signal')
})

test('a dockerd that the OOM killer ends is told as that', async () => {
  const vm = await bookworm.start()
  try {
    // It is spared like on a Debian.
    const spared = await vm.exec(['sh', '-c', 'cat /proc/$(pidof dockerd)/oom_score_adj'])
    expect(spared.stdout).toBe('-500\n')
    const killDockerd = 'echo 1000 >/proc/$(pidof dockerd)/oom_score_adj && echo f >/proc/sysrq-trigger'
    await vm.exec(['sh', '-c', killDockerd]).catch(() => {})
    expect(await death(vm)).toMatchObject({
      code: 'DOCKERD_FAILED',
      message: expect.stringContaining("dying: the guest's dockerd was killed by the OOM killer of its kernel"),
      remedy: expect.stringContaining('memoryMib is 2048: raise it'),
    })
  } finally {
    await vm.stop()
  }
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
