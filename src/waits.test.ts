// Every wait of the library for somebody else, driven with a counterpart that takes connections and never says a word: it ends at its
// deadline, or with its signal. A file that begins to talk to others has to join the list.
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { connectBuildkit } from './buildkit/index.ts'
import { credentialsFor } from './buildkit/session/registry-auth.ts'
import { readImageArgument } from './cli/run.ts'
import { createClient } from './engine/client.ts'
import { execStream } from './engine/exec-stream.ts'
import { type Engine, pullImage, pushImage } from './engine/index.ts'
import { requestJson } from './engine/request.ts'
import { isAbsentIn } from './forward/docker/creation.ts'
import { HostPorts } from './forward/host-ports.ts'
import { dialSocket, dialWhenThere } from './host/docker/machine.ts'
import { silentLogger } from './log/index.ts'
import { connectControl } from './qemu/index.ts'
import { connectQmp } from './qemu/qmp.ts'
import { connectSsh, generateKeyPair } from './ssh/index.ts'
import { doorStreams, makeDoorSecret, waitForDoor } from './streams/index.ts'
import { elsewhere } from './testing/no-waits.ts'
import { openSshSocket } from './vm/attach.ts'

const BEYOND_ANY_DEADLINE_MS = 30 * 60_000

let directory: string
/** Where somebody takes connections. */
let path: string
let server: Server
let accepted: Promise<unknown>
const sockets = new Set<Socket>()

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-waits-'))
  path = join(directory, 'silent.sock')
  server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    // It reads: who writes is not held up.
    socket.resume()
  })
  accepted = once(server, 'connection')
  server.listen(path)
  await once(server, 'listening')
})

afterEach(async () => {
  vi.useRealTimers()
  vi.unstubAllEnvs()
  for (const socket of sockets) socket.destroy()
  sockets.clear()
  server.close()
  await rm(directory, { recursive: true })
})

const address = () => ({ kind: 'unix', path }) as const
const engine = () =>
  ({ docker: createClient(address()), address: address(), arch: { name: 'any' } }) as unknown as Engine
const door = () => doorStreams({ dial: (signal) => dialSocket(path, signal), secret: makeDoorSecret() })
const docker = { kind: 'unix', path: '/var/run/docker.sock' } as const
const vm = (signal: AbortSignal) => ({ signal, log: silentLogger, entry: 'v2' })
const control = () => connectControl(connect(path), { log: silentLogger, entry: 'v2', onFault: () => {} })

/** A helper that hears nothing and listens to no signal that can be caught; what it starts keeps its output open. */
async function deafHelper(): Promise<string> {
  await writeFile(join(directory, 'config.json'), JSON.stringify({ credsStore: 'deaf' }))
  const helper = join(directory, 'docker-credential-deaf')
  await writeFile(helper, `#!/bin/sh\ntrap '' TERM\nsleep 60 &\necho $! >${directory}/started\nwait\n`)
  await chmod(helper, 0o755)
  vi.stubEnv('PATH', `${directory}:${process.env['PATH']}`)
  return directory
}

interface Wait {
  readonly what: string
  /** The files of src that have it. */
  readonly files: readonly string[]
  readonly begin: (signal: AbortSignal) => Promise<unknown>
}

const endAtDeadlines: readonly Wait[] = [
  {
    what: "a guest's dockerd that is asked for a path",
    files: ['forward/docker/creation.ts'],
    begin: () => isAbsentIn({ open: async () => connect(path) }, docker, '/x'),
  },
  {
    what: 'an answer of the engine',
    files: ['engine/request.ts'],
    begin: () => requestJson(address(), { path: '/info' }),
  },
  {
    what: 'an answer of the engine to dockerode',
    files: ['engine/client.ts'],
    begin: () => createClient(address()).listContainers(),
  },
  {
    what: 'the removal of a volume',
    files: ['engine/client.ts'],
    begin: () => createClient(address()).getVolume('x').remove(),
  },
  {
    what: 'a program in a box of another machine',
    files: [],
    begin: () => execStream(engine(), 'box', ['true']),
  },
  { what: 'a pull', files: [], begin: () => pullImage(engine(), 'registry.example.org/x') },
  { what: 'a push', files: [], begin: () => pushImage(engine(), 'registry.example.org/x') },
  {
    what: "the engine's BuildKit",
    files: ['buildkit/transport/open.ts', 'buildkit/transport/upgrade.ts'],
    begin: () => connectBuildkit({ kind: 'docker', socketPath: path }),
  },
  {
    what: 'a buildkitd',
    files: ['buildkit/client.ts'],
    begin: () => connectBuildkit({ kind: 'buildkitd', socketPath: path }),
  },
  {
    what: 'a buildkitd that is reached through somebody else',
    files: ['buildkit/transport/transport.ts'],
    begin: () => {
      const dial = () => dialSocket(path, new AbortController().signal)
      return connectBuildkit({ kind: 'buildkitd', name: 'builder', dial })
    },
  },
  { what: 'another process that has a VM', files: ['vm/attach.ts'], begin: (signal) => openSshSocket(path, signal) },
  {
    what: 'a container that is offered a port of this machine',
    files: ['forward/host-ports.ts'],
    begin: () => {
      const { signal } = new AbortController()
      const ports = new HostPorts({ log: silentLogger })
      return ports.open({ port: 80, dial: (until) => dialSocket(path, until), gone: signal })
    },
  },
  { what: 'a destination behind the door', files: [], begin: () => door().open(docker) },
]

const endWithSignals: readonly Wait[] = [
  {
    what: 'a buildkitd',
    files: [],
    begin: (signal) => connectBuildkit({ kind: 'buildkitd', socketPath: path }, { signal }),
  },
  { what: 'a pull', files: [], begin: (signal) => pullImage(engine(), 'registry.example.org/x', { signal }) },
  { what: 'another process that has a VM', files: [], begin: (signal) => openSshSocket(path, signal) },
  { what: "QEMU's monitor", files: [], begin: (signal) => connectQmp(connect(path), vm(signal)) },
  { what: 'a phase of the guest', files: [], begin: (signal) => control().phase('ready', signal) },
  { what: "the guest's clock", files: [], begin: (signal) => control().setClock(signal) },
  { what: 'the way into the guest', files: [], begin: (signal) => waitForDoor(door(), docker, signal) },
  {
    what: 'an SSH server',
    files: ['ssh/connect.ts'],
    begin: (signal) =>
      connectSsh({
        dial: (until) => dialSocket(path, until),
        server: 'silent',
        user: 'root',
        hostPublicKey: generateKeyPair().publicKey,
        clientKey: generateKeyPair(),
        signal,
      }),
  },
]

/** What it ended with. */
async function ended(wait: Promise<unknown>): Promise<unknown> {
  return await wait.then(
    () => 'an answer',
    (thrown: unknown) => thrown,
  )
}

describe('ends at its deadline', () => {
  test.each(endAtDeadlines)('$what', async ({ begin }) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const wait = ended(begin(new AbortController().signal))
    await accepted
    await vi.advanceTimersByTimeAsync(BEYOND_ANY_DEADLINE_MS)
    expect(await wait).toBeInstanceOf(Error)
  })

  test('a credential helper that ignores SIGTERM', async () => {
    const config = await deafHelper()
    await expect(credentialsFor('registry.example.org', config, 1)).rejects.toThrow('did not answer within')
  })
})

describe('ends with its signal', () => {
  test.each(endWithSignals)('$what', async ({ begin }) => {
    const calledOff = new AbortController()
    const wait = ended(begin(calledOff.signal))
    await accepted
    calledOff.abort(new Error('called off'))
    expect(await wait).toBeInstanceOf(Error)
  })

  test('a socket that a box never makes', async () => {
    const calledOff = new AbortController()
    const nowhere = join(directory, 'nowhere.sock')
    const wait = dialWhenThere(() => dialSocket(nowhere, calledOff.signal), calledOff.signal)
    calledOff.abort(new Error('called off'))
    await expect(wait).rejects.toThrow('called off')
  })

  test('standard input that says nothing', async () => {
    const calledOff = new AbortController()
    const wait = ended(readImageArgument(new PassThrough(), { signal: calledOff.signal, log: silentLogger }))
    calledOff.abort(new Error('called off'))
    expect(await wait).toBeInstanceOf(Error)
  })
})

const TALKS =
  /^import (?!type\b|\{ (?:BlockList, )?isIP(?:v4)? \})(?:\w+(?:, )?)?(?:\{[^{}]*\})? from '(?:node:(?:net|dgram|tls|http|https|child_process|worker_threads)|@grpc\/grpc-js|ssh2|dockerode)'|\bfetch\(/m

test('each file that talks to others is in a list', () => {
  const listed = new Set([...endAtDeadlines, ...endWithSignals].flatMap(({ files }) => files))
  const talking = readdirSync(import.meta.dirname, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !/\.test\.ts$|\/(testing|gen)\//.test(file))
    .filter((file) => TALKS.test(readFileSync(join(import.meta.dirname, file), 'utf8')))
  expect(talking.filter((file) => !listed.has(file) && elsewhere[file] === undefined)).toEqual([])
  expect(Object.keys(elsewhere).filter((file) => !talking.includes(file))).toEqual([])
})
