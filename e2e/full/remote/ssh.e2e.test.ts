// An engine that is reached over SSH: this machine's, through a server in a container, taken for that of another machine.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createClient } from '../../../src/engine/client.ts'
import { connectEngine, containerEvents } from '../../../src/engine/index.ts'
import { docker } from '../../support/docker.ts'
import { fixtureImage, fixtureTar } from '../../support/env.ts'
import { testkernels } from '../../support/run.ts'
import { buildSshServer, makeSshClient, startSshServer } from '../../support/ssh-server.ts'
import { expectAccess, expectBuilt } from './access.ts'
import { expectMounted } from './mounted.ts'

const run = promisify(execFile)
const BUILD_DEADLINE_MS = 240_000
const DEADLINE_MS = 60_000
/** In the server: the process of each connection. */
const CONNECTIONS = 'grep -lsE "^sshd(-session)?: root@" /proc/[0-9]*/cmdline | cut -d / -f 3'
let directory: string
let server: string
let environment: Readonly<Record<string, string>>

/** On this machine's engine, whatever DOCKER_HOST says by then. */
const outside = { ...process.env }
const here = async (...args: string[]) => (await run('docker', args, { env: outside })).stdout.trim()

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-ssh-'))
  await buildSshServer(directory)
  const network = ['--publish', '127.0.0.1::22']
  const started = await startSshServer({ docker: here, socket: '/var/run/docker.sock', network, directory })
  server = started.container
  const port = (await here('port', server, '22/tcp')).split(':').at(-1) ?? ''
  const { hostKey } = started
  environment = await makeSshClient({ directory, address: '127.0.0.1', port, hostKey, more: otherProofs() })
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
}, BUILD_DEADLINE_MS)

afterAll(async () => {
  vi.unstubAllEnvs()
  if (server !== undefined) await here('rm', '--force', server)
  await rm(directory, { recursive: true, force: true })
})

/** How `ssh` proves who it is to other names of the server. */
const otherProofs = () => ({
  'lab-by-agent': `IdentityFile none\nIdentityAgent ${directory}/agent.sock`,
  'lab-by-password': 'PreferredAuthentications password,keyboard-interactive',
  // To itself: only there is it at port 22 of 127.0.0.1.
  'lab-by-jump': `Port 22\nIdentityFile ${directory}/key\nProxyJump lab`,
})

const read = async (address: string, port: number) => (await text(connect({ host: address, port }))).trim()

test('a build, files, forwards and a shell', async () => {
  const files = await mkdtemp(join(tmpdir(), 'tk-far-'))
  try {
    await expectBuilt(files)
    await expectAccess(files)
  } finally {
    await rm(files, { recursive: true })
  }
})

test('a VM with images, a checkpoint, published ports, commands', async () => {
  const vm: StartedKernelVm = await new KernelVm({
    name: 'far',
    kernel: 'debian:bookworm',
    images: [fixtureTar],
  }).start()
  try {
    expect(vm.address).toMatch(/^127\./)
    const greeter = ['sh', '-c', 'while :; do hostname | nc -l -p 80; done']
    await docker(vm, ['run', '--detach', '--hostname', 'greeter', '--publish', '8080:80', fixtureImage, ...greeter])
    await expect.poll(() => read(vm.address, 8080)).toBe('greeter')
    expect((await vm.exec(['cat'], { stdin: 'over two kinds of SSH' })).stdout).toBe('over two kinds of SSH')
    await using checkpoint = await vm.checkpoint()
    await using clone = await checkpoint.fork()
    await expect.poll(() => read(clone.address, 8080)).toBe('greeter')
  } finally {
    await vm.stop()
  }
})

test('a container has a directory of this machine, which the engine is not asked for', async () => {
  const host = await mkdtemp(join(directory, 'mounted-'))
  await expectMounted(host)
})

test('one connection to the engine carries a VM and a hundred clients', async () => {
  await using vm = await new KernelVm({ name: 'shared', kernel: 'debian:bookworm', images: [fixtureTar] }).start()
  const page = ['httpd', '-f', '-h', '/etc']
  await docker(vm, ['run', '--detach', '--hostname', 'page', '--publish', '8080:80', fixtureImage, ...page])
  const guest = createClient({ kind: 'unix', path: vm.dockerHost.replace('unix://', '') })
  const follow = async () => {
    const events = await guest.getEvents({ filters: { event: ['create'] } })
    return { events, heard: once(events, 'data') }
  }
  const following = [await follow()]
  expect(await connections()).toBe(1)
  following.push(...(await Promise.all(Array.from({ length: 99 }, follow))))
  expect(await connections()).toBe(1)
  const url = `http://${vm.address}:8080/hostname`
  const pages = await Promise.all(Array.from({ length: 20 }, async () => (await fetch(url)).text()))
  expect(new Set(pages)).toEqual(new Set(['page\n']))
  await guest.createNetwork({ Name: 'said-to-all' })
  await Promise.all(following.map(({ heard }) => heard))
  for (const { events } of following) (events as Readable).destroy()
})

test('testkernels run ends with nothing left on the engine', async () => {
  await using far = await testkernels(['run', '--kernel', 'debian:bookworm', '--', 'docker', 'info'], {
    env: environment,
  })
  expect(await far.program.exit).toEqual({ code: 0, signal: null })
  expect(far.program.stdout).toContain('Kernel Version: 6.1')
})

test('a key that only an agent has', async () => {
  const agent = spawn('ssh-agent', ['-D', '-a', join(directory, 'agent.sock')], { stdio: 'ignore' })
  try {
    await expect.poll(() => addKey(join(directory, 'key')), { timeout: DEADLINE_MS }).toBe('added')
    const { version } = await connectEngine({ address: { kind: 'ssh', host: 'lab-by-agent' } })
    expect(version).toBe(await here('version', '--format', '{{.Server.Version}}'))
  } finally {
    agent.kill()
  }
})

async function addKey(key: string): Promise<'added' | 'no agent'> {
  const env = { ...process.env, SSH_AUTH_SOCK: join(directory, 'agent.sock') }
  return await run('ssh-add', ['-q', key], { env }).then(
    () => 'added',
    () => 'no agent',
  )
}

test('a host behind another, as the configuration of ssh says', async () => {
  const { version } = await connectEngine({ address: { kind: 'ssh', host: 'lab-by-jump' } })
  expect(version).toBe(await here('version', '--format', '{{.Server.Version}}'))
})

test('a host that wants a password is refused, and nothing is asked', async () => {
  await here('exec', server, 'sh', '-c', 'echo root:secret | chpasswd')
  await expect(connectEngine({ address: { kind: 'ssh', host: 'lab-by-password' } })).rejects.toMatchObject({
    code: 'ENGINE_UNREACHABLE',
    message: expect.stringContaining('Permission denied'),
  })
})

test('a host that falls silent is noticed, and connected to anew when it is back', { timeout: 300_000 }, async () => {
  const controlDirectory = await mkdtemp(join(directory, 'control-'))
  const address = { kind: 'ssh', host: 'lab', controlDirectory } as const
  // A stream on which nothing comes.
  const events = await containerEvents(await connectEngine({ address }), { events: ['rename'] })
  events.on('error', () => {}).resume()
  const lost = new Promise((resolve) => events.once('close', resolve))
  await here('pause', server)
  try {
    await lost
    expect(events.complete).toBe(false)
  } finally {
    await here('unpause', server)
  }
  await connectEngine({ address })
})

test('a VM whose connection is cut is lost with the reason, and nothing of it stays', async () => {
  await using vm = await new KernelVm({ name: 'cut', kernel: 'debian:bookworm' }).start()
  const running = vm.exec(['sleep', '1000']).catch((error: Error) => error)
  await cutConnections()
  expect(await running).toMatchObject({ code: 'VM_DIED' })
  expect(vm.gone.reason).toMatchObject({ code: 'VM_DIED', message: expect.stringContaining('cut: the VM ended') })
  const left = () => here('ps', '--all', '--quiet', '--filter', `label=testkernels.owner=${process.pid}@${hostname()}`)
  await expect.poll(left, { timeout: DEADLINE_MS }).toBe('')
  await using next = await new KernelVm({ name: 'restored', kernel: 'debian:bookworm' }).start()
  expect((await next.exec(['echo', 'there'])).stdout).toBe('there\n')
})

/** That the server has. */
async function connections(): Promise<number> {
  return (await here('exec', server, 'sh', '-c', CONNECTIONS)).split('\n').length
}

/** Ends the server's process of each connection. */
async function cutConnections(): Promise<void> {
  await here('exec', server, 'sh', '-c', `kill $(${CONNECTIONS})`)
}

test('a key that the host does not know is refused, and nothing is asked', async () => {
  await here('exec', server, 'mv', '/root/.ssh/authorized_keys', '/root/.ssh/none')
  // Without the connection that the others share.
  const other = { ...environment, TESTKERNELS_CACHE_DIR: join(directory, 'cache') }
  await using refused = await testkernels(['run', '--', 'true'], { env: other })
  const { code } = await refused.program.exit
  expect(code).toBe(125)
  expect(refused.program.stderr).toContain('error [ENGINE_UNREACHABLE]: no Docker engine answers at ssh://lab')
  expect(refused.program.stderr).toContain('Permission denied')
  expect(refused.program.stderr).toContain('ssh lab docker version')
  await here('exec', server, 'mv', '/root/.ssh/none', '/root/.ssh/authorized_keys')
})
