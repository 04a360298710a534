// A VM on an engine elsewhere, with a request on its way, when something between stops: the request is answered, or fails with a reason, and the
// next is answered once that goes on, or the VM is dead.
import { once } from 'node:events'
import { hostname } from 'node:os'
import type { Readable } from 'node:stream'
import Docker from 'dockerode'
import { type KernelOptions, KernelVm, type Logger, type StartedKernelVm, type TestkernelsError } from 'testkernels'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createClient } from '../../../src/engine/client.ts'
import { MOST_AT_THE_DOOR } from '../../../src/streams/index.ts'
import { docker } from '../../support/docker.ts'
import { fixtureImage, fixtureTar } from '../../support/env.ts'
import { type RemoteEngine, startRemoteEngine } from '../../support/remote-engine.ts'

/** Of a VM that does not answer: the requirement is 10 s, on a machine at rest. */
const TOLD_DEADLINE_MS = 120_000
/** One that stays silent for a minute is lost, which is counted in ticks that a busy machine makes longer. */
const LOST_DEADLINE_MS = 300_000
const TEST_TIMEOUT_MS = 600_000
/** This machine's, whatever DOCKER_HOST says. */
const engine = new Docker({ socketPath: '/var/run/docker.sock' })
/** Of a request that waited for longer than any answer takes. */
const NO_WAY = 'there is no way into the virtual machine'
let remote: RemoteEngine

beforeAll(async () => {
  remote = await startRemoteEngine()
  for (const [name, value] of Object.entries(remote.environment)) vi.stubEnv(name, value)
})
afterAll(async () => {
  vi.unstubAllEnvs()
  await remote[Symbol.asyncDispose]()
})

/** A VM, and what is said of it. */
async function start(
  options: Partial<KernelOptions> = {},
): Promise<{ readonly vm: StartedKernelVm; readonly said: () => string }> {
  const lines: string[] = []
  const take = (line: string) => void lines.push(line)
  const log: Logger = { info: take, warn: take, debug: () => {}, named: () => log }
  const vm = await new KernelVm({ name: 'far', kernel: 'debian:bookworm', ...options }).start({ log })
  return { vm, said: () => lines.join('\n') }
}

/** One request to its dockerd. */
const ask = (vm: StartedKernelVm) => docker(vm, ['version', '--format', '{{.Server.KernelVersion}}'])

/** The containers of this process's VMs. */
async function boxes(): Promise<readonly Docker.Container[]> {
  const filters = { label: [`testkernels.owner=${process.pid}@${hostname()}`] }
  return (await engine.listContainers({ all: true, filters })).map(({ Id }) => engine.getContainer(Id))
}

/** Of the one VM that there is. */
async function onlyBox(): Promise<Docker.Container> {
  const [box, ...more] = await boxes()
  if (box === undefined || more.length > 0)
    throw new Error(`there are ${more.length + (box ? 1 : 0)} containers, not one`)
  return box
}

async function qemu(): Promise<number> {
  const { Processes } = await (await onlyBox()).top({ ps_args: '-eo pid,comm' })
  const [pid] = (Processes as string[][]).find(([, name]) => name?.startsWith('qemu-system')) ?? []
  return Number(pid)
}

async function setLink(state: 'up' | 'down'): Promise<void> {
  const exec = await (await onlyBox()).exec({ Cmd: ['ip', 'link', 'set', 'dev', 'tap0', state], AttachStderr: true })
  const output = await exec.start({})
  output.resume()
  await once(output, 'end')
  expect((await exec.inspect()).ExitCode).toBe(0)
}

const timeout = TEST_TIMEOUT_MS

test('what is asked of a stopped QEMU, or over a link that is down, is answered or fails with a reason, and the next is answered', {
  timeout,
}, async () => {
  const { vm, said } = await start()
  await using _vm = vm
  const pid = await qemu()
  const troubles = [
    {
      begin: async () => void process.kill(pid, 'SIGSTOP'),
      end: async () => void process.kill(pid, 'SIGCONT'),
      told: 'the VM does not answer: its QEMU does not answer either',
    },
    { begin: () => setLink('down'), end: () => setLink('up'), told: 'there is no way into it: its network is down' },
  ]
  for (const [before, { begin, end, told }] of troubles.entries()) {
    await begin()
    const asked = ask(vm).catch(({ stderr }) => stderr)
    try {
      await expect.poll(said, { timeout: TOLD_DEADLINE_MS }).toContain(told)
    } finally {
      await end()
    }
    expect(await asked).toMatch(new RegExp(`^${vm.kernelRelease}$|${NO_WAY}`))
    expect(await ask(vm)).toBe(vm.kernelRelease)
    const answers = () => said().split('the VM answers again').length - 1
    await expect.poll(answers, { timeout: TOLD_DEADLINE_MS }).toBe(before + 1)
  }
})

test('a QEMU that stays stopped is a VM that is dead, and what was asked of it fails with the reason', {
  timeout,
}, async () => {
  const { vm } = await start()
  await using _vm = vm
  process.kill(await qemu(), 'SIGSTOP')
  const asked = ask(vm).catch(({ stderr }) => stderr)
  const { code, message } = await death(vm)
  expect(code).toBe('VM_DIED')
  const [headline = ''] = message.split('\n')
  expect(headline).toContain('its QEMU does not answer')
  const said = await asked
  expect(
    [NO_WAY, headline].some((reason) => said.includes(reason)),
    said,
  ).toBe(true)
  await expect(ask(vm)).rejects.toMatchObject({ stderr: expect.stringContaining(headline) })
  await nothingLeft()
})

test('an SSH server that is killed in the guest fails what goes over it, and the next is answered', {
  timeout,
}, async () => {
  const { vm } = await start({ images: [fixtureTar] })
  await using _vm = vm
  // A few clients go another way.
  const client = createClient({ kind: 'unix', path: vm.dockerHost.replace('unix://', '') })
  const few = await Promise.all(Array.from({ length: MOST_AT_THE_DOOR }, () => client.getEvents()))
  await docker(vm, ['run', '--detach', '--name', 'sleeper', fixtureImage, 'sleep', '1000'])
  const running = docker(vm, ['exec', 'sleeper', 'sleep', '2000']).catch(({ stderr }) => stderr)
  const followed = docker(vm, ['logs', '--follow', 'sleeper']).catch(({ stderr }) => stderr)
  await expect.poll(() => docker(vm, ['top', 'sleeper']), { timeout: TOLD_DEADLINE_MS }).toContain('sleep 2000')
  await vm.exec('kill -9 $(pidof dropbear)').catch(() => {})
  for (const said of [await running, await followed])
    expect(said).toMatch(/^error from daemon in stream: .*the SSH connection to .* is lost/m)
  expect(await ask(vm)).toBe(vm.kernelRelease)
  for (const events of few) (events as Readable).destroy()
})

test('connections to the engine that are cut are the end of the VM, with a reason, and the next one starts', {
  timeout,
}, async () => {
  const { vm } = await start()
  await using _vm = vm
  // Connected to, and then asked for what does not end.
  await vm.exec(['true'])
  const running = vm.exec(['sleep', '1000']).catch((error: Error) => error)
  remote.cut()
  const reason = await death(vm)
  expect(reason).toMatchObject({ code: 'VM_DIED', message: expect.stringContaining('far: the VM ended') })
  expect(await running).toBe(reason)
  await expect(ask(vm)).rejects.toMatchObject({ stderr: expect.stringContaining('far: the VM ended') })
  await nothingLeft()
  const next = await start()
  await using _next = next.vm
  expect(await ask(next.vm)).toBe(next.vm.kernelRelease)
})

async function death({ gone }: StartedKernelVm): Promise<TestkernelsError> {
  if (!gone.aborted) await once(gone, 'abort', { signal: AbortSignal.timeout(LOST_DEADLINE_MS) })
  return gone.reason
}

async function nothingLeft(): Promise<void> {
  await expect.poll(async () => (await boxes()).length, { timeout: LOST_DEADLINE_MS }).toBe(0)
}
