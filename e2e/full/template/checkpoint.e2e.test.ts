import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import Docker from 'dockerode'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { expect, test } from 'vitest'
import { docker } from '../../support/docker.ts'
import { fixtureImage, fixtureTar } from '../../support/env.ts'
import { Program } from '../../support/program.ts'
import { testkernels } from '../../support/run.ts'

const COUNTS_DEADLINE_MS = 60_000
/** A start sweeps in the background. */
const SWEPT_DEADLINE_MS = 60_000
const engine = new Docker()
const COUNT = 'i=0; while :; do i=$((i+1)); echo $i >/count; usleep 100000; done'

async function sh(vm: StartedKernelVm, script: string): Promise<string> {
  const { exitCode, stdout, stderr } = await vm.exec(['sh', '-c', script])
  expect(exitCode, stderr).toBe(0)
  return stdout.trim()
}

const counter = (vm: StartedKernelVm) => docker(vm, ['exec', 'counter', 'cat', '/count']).then(Number)

async function counts(vm: StartedKernelVm, from: number): Promise<void> {
  await expect.poll(() => counter(vm), { timeout: COUNTS_DEADLINE_MS }).toBeGreaterThan(from)
}

async function volumes(): Promise<readonly string[]> {
  const { Volumes } = await engine.listVolumes({ filters: { label: ['testkernels.run'] } })
  const names = (Volumes ?? []).map(({ Name }) => Name)
  return names.filter((name) => name.startsWith('testkernels-checkpoint-')).sort()
}

test('a container that counted at the checkpoint goes on from there in each of five forks', async () => {
  const before = await volumes()
  await using vm = await new KernelVm({ name: 'counted', kernel: 'debian:bookworm', images: [fixtureTar] }).start()
  await docker(vm, ['run', '-d', '--name', 'counter', '--network', 'none', fixtureImage, 'sh', '-c', COUNT])
  await counts(vm, 0)
  // What is stopped counts no further: the value of the checkpoint is known.
  await docker(vm, ['pause', 'counter'])
  const atCheckpoint = await pausedCounter(vm)
  await using checkpoint = await vm.checkpoint()
  await docker(vm, ['unpause', 'counter'])
  await counts(vm, atCheckpoint)

  const ids = new Set<string>()
  const forks: StartedKernelVm[] = []
  for (let number = 0; number < 5; number++) {
    const fork = await checkpoint.fork()
    forks.push(fork)
    expect(await pausedCounter(fork)).toBe(atCheckpoint)
    await docker(fork, ['unpause', 'counter'])
    ids.add(await sh(fork, 'hostname; cat /proc/sys/kernel/random/uuid; sha256sum </.testkernels/ssh/host_key'))
  }
  expect(ids.size).toBe(5)
  for (const fork of forks) await counts(fork, atCheckpoint)

  await checkpoint.remove()
  for (const fork of forks) await expect(fork.exec(['true'])).rejects.toThrow()
  await expect(checkpoint.fork()).rejects.toMatchObject({ code: 'CHECKPOINT_REMOVED' })
  await counts(vm, await counter(vm))
  expect(await volumes()).toEqual(before)
})

/** Alone in its PID namespace, where that can be. */
const canUnshare = spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']).status === 0
const alone = canUnshare ? ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'] : []

test('the checkpoint of a process that was killed goes with the next start; that of one that lives stays, though it has no VM', async () => {
  const before = await volumes()
  const keep = [process.execPath, join(import.meta.dirname, 'keep-checkpoint.mjs')]
  await using living = new Program([...alone, ...keep])
  await living.printed('stdout', /^kept$/m)
  const kept = await volumes()
  await using killed = new Program([...alone, ...keep])
  await killed.printed('stdout', /^kept$/m)
  expect(await volumes()).toHaveLength(before.length + 2)
  killed.kill('SIGKILL')
  await killed.exit

  await using next = await testkernels([
    'run',
    '--kernel',
    'debian:bookworm',
    '--',
    'sh',
    '-c',
    'echo up; exec sleep 1000',
  ])
  await next.program.printed('stdout', /^up$/m)
  await expect.poll(volumes, { timeout: SWEPT_DEADLINE_MS }).toEqual(kept)
  living.input('go on\n')
  expect(await living.exit, living.stderr).toEqual({ code: 0, signal: null })
  expect(living.stdout).toContain('forked')
  expect(await volumes()).toEqual(before)
})

/** Of a container that is paused, in which nothing can be run. */
function pausedCounter(vm: StartedKernelVm): Promise<number> {
  return sh(vm, 'cat /var/lib/docker/overlay2/*/diff/count').then(Number)
}
