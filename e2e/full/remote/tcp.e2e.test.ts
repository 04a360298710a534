// An engine that is reached over TCP, with TLS and without: this machine's, in the place of another machine's.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Docker from 'dockerode'
import { KernelVm } from 'testkernels'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { docker } from '../../support/docker.ts'
import { fixtureImage, fixtureTar } from '../../support/env.ts'
import { Certificates, type RemoteEngine, startRemoteEngine } from '../../support/remote-engine.ts'
import { isQemu, testkernels, vitest } from '../../support/run.ts'
import { ask, dial, runService } from '../../support/service.ts'
import { expectAccess, expectBuilt } from './access.ts'
import { expectMounted } from './mounted.ts'

/** From the beginning of a start, at the end of which it removes what the dead have left. */
const SWEEP_DEADLINE_MS = 240_000
/** For the engine to hear of a client's end, and to remove its container. */
const GONE_DEADLINE_MS = 60_000
let certificates: Certificates
/** This machine's, whatever DOCKER_HOST says. */
const engine = new Docker({ socketPath: '/var/run/docker.sock' })

beforeAll(async () => {
  certificates = await Certificates.make()
})
afterAll(() => certificates[Symbol.asyncDispose]())
afterEach(() => {
  vi.unstubAllEnvs()
})

function use({ environment }: RemoteEngine): void {
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
}

test.each(['tcp', 'tls'] as const)('over %s: published ports, commands, copies, a checkpoint', async (kind) => {
  await using remote = await startRemoteEngine(kind === 'tls' ? { certificates } : {})
  use(remote)
  await using vm = await new KernelVm({ name: 'far', kernel: 'debian:bookworm', images: [fixtureTar] }).start()
  expect(vm.address).toMatch(/^127\./)
  await runService(vm, 'service', '--publish', '8080:80', '--publish', '8080:80/udp')
  expect(await dial(vm.address, 8080)).toBe('service')
  expect(await ask(vm.address, 8080, 'hello')).toBe('service hello')
  expect((await vm.exec(['cat'], { stdin: 'from far away' })).stdout).toBe('from far away')
  await docker(vm, ['run', '--detach', '--name', 'copied', fixtureImage, 'sleep', '1000'])
  await docker(vm, ['cp', import.meta.filename, 'copied:/tmp/copy'])
  const copy = await docker(vm, ['exec', 'copied', 'cat', '/tmp/copy'])
  expect(copy).toBe((await readFile(import.meta.filename, 'utf8')).trim())
  await using checkpoint = await vm.checkpoint()
  await using clone = await checkpoint.fork()
  expect(await dial(clone.address, 8080)).toBe('service')
})

test.each(['tcp', 'tls'] as const)('over %s: a build, files, forwards and a shell', async (kind) => {
  await using remote = await startRemoteEngine(kind === 'tls' ? { certificates } : {})
  use(remote)
  const directory = await mkdtemp(join(tmpdir(), 'tk-far-'))
  try {
    await expectBuilt(directory)
    await expectAccess(directory)
  } finally {
    await rm(directory, { recursive: true })
  }
})

test.each(['tcp', 'tls'] as const)('over %s: a container has a directory of this machine', async (kind) => {
  await using remote = await startRemoteEngine(kind === 'tls' ? { certificates } : {})
  use(remote)
  const host = await mkdtemp(join(tmpdir(), 'tk-far-'))
  try {
    await expectMounted(host)
  } finally {
    await rm(host, { recursive: true })
  }
})

test('over TLS: a run of Vitest', async () => {
  await using remote = await startRemoteEngine({ certificates })
  await using run = await vitest('vitest-demo', ['--project', 'cgroupv1'], {
    env: { ...remote.environment, FIXTURE_TAR: fixtureTar },
  })
  expect(await run.program.exit, run.program.stdout + run.program.stderr).toEqual({ code: 0, signal: null })
  expect(run.booted).toEqual(['cgroupv1'])
  await run.gone()
})

test('of two clients one dies: the other goes on, and the next start finds nothing of the dead one', async () => {
  await using remote = await startRemoteEngine()
  const start = (...command: string[]) =>
    testkernels(['run', '--kernel', 'debian:bookworm', '--', ...command], { env: remote.environment })
  await using dying = await start('sh', '-c', 'echo running; cat')
  await using living = await start('sh', '-c', 'echo running; read word; docker info')
  for (const { program } of [dying, living]) await program.printed('stdout', /^running$/m)
  const qemus = await dying.qemus()
  expect(await volumesOf(dying.program.pid)).not.toEqual([])
  dying.program.kill('SIGKILL')
  await dying.program.exit
  // But for the sockets in its own directory: nobody on this machine is left to remove them before the next start.
  await expect.poll(() => dying.containers(), { timeout: GONE_DEADLINE_MS }).toEqual([])
  expect(qemus.filter(isQemu)).toEqual([])
  living.program.input('go\n')
  expect(await living.program.exit).toEqual({ code: 0, signal: null })
  expect(living.program.stdout).toContain('Kernel Version: 6.1')
  await living.gone()
  await using next = await start('cat')
  await expect.poll(() => volumesOf(dying.program.pid), { timeout: SWEEP_DEADLINE_MS }).toEqual([])
  next.program.input('')
  expect(await next.program.exit).toEqual({ code: 0, signal: null })
})

/** Names of what the engine keeps for a process of this machine. */
async function volumesOf(pid: number): Promise<string[]> {
  const { Volumes } = await engine.listVolumes({ filters: JSON.stringify({ label: ['testkernels.owner'] }) })
  // The engine answers null for none.
  return (Volumes ?? [])
    .filter(({ Labels }) => Labels['testkernels.owner']?.startsWith(`${pid}@`))
    .map(({ Name }) => Name)
}
