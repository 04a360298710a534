import { execFile, spawn, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { vi } from 'vitest'
import { Program } from './program.ts'

const run = promisify(execFile)
const START_DEADLINE_MS = 60_000
/** Nobody listens there: connections are refused at once. */
export const NOWHERE = 'http://127.0.0.1:1'

/** Whether this machine can run an engine of our own. */
export const canIsolate =
  process.getuid?.() === 0 && spawnSync('unshare', ['--net', 'dockerd', '--version']).status === 0

export interface IsolatedEngine extends AsyncDisposable {
  readonly dockerHost: string
  /** Of a process in its network. */
  readonly pid: number
}

/**
 * A second dockerd that shares nothing with the machine's: no image, no registry, and no network. That one is a namespace of
 * its own, because a dockerd changes the bridge and the packet filter of the network that it starts in, whoever uses them.
 */
export async function startIsolatedEngine({
  storageDriver = 'vfs',
  runtime,
  under = [],
  flags = [],
  directory: kept,
}: {
  /** The default works on every file system, and copies each layer whole. @default 'vfs' */
  readonly storageDriver?: 'vfs' | 'overlay2'
  /** Path of what it starts containers with. @default runc */
  readonly runtime?: string
  /** The command that runs it, with its arguments. @default nobody else */
  readonly under?: readonly string[]
  /** More of dockerd's. @default none */
  readonly flags?: readonly string[]
  /** Where it has what it has, which stays for the next one there. @default one of its own, which goes with it */
  readonly directory?: string
} = {}): Promise<IsolatedEngine> {
  const directory = kept ?? (await mkdtemp(join(tmpdir(), 'tk-engine-')))
  const socketPath = join(directory, 'docker.sock')
  const place = ['--data-root', join(directory, 'data'), '--exec-root', join(directory, 'exec')]
  const files = [
    '--pidfile',
    join(directory, 'pid'),
    '--host',
    `unix://${socketPath}`,
    `--storage-driver=${storageDriver}`,
  ]
  // The machine's own configuration is for the machine's engine.
  const config = ['--config-file', join(directory, 'daemon.json')]
  await mkdir(directory, { recursive: true })
  await writeFile(join(directory, 'daemon.json'), '{}')
  const env = { ...process.env, HTTP_PROXY: NOWHERE, HTTPS_PROXY: NOWHERE, NO_PROXY: '' }
  const runtimes = runtime === undefined ? [] : ['--add-runtime', `test=${runtime}`, '--default-runtime', 'test']
  const dockerd = ['dockerd', '--iptables=false', ...place, ...files, ...config, ...runtimes, ...flags]
  const program = new Program([...under, 'unshare', '--net', ...dockerd], { env })
  const close = async () => {
    // In order, so that its containerd ends as well.
    program.kill('SIGTERM')
    await program.exit
    // Its containers with `--network host` have it mounted, and no dockerd takes that away; without one it is not there.
    await run('umount', [join(directory, 'exec/netns/default')]).catch(() => {})
    if (kept === undefined) await rm(directory, { recursive: true, force: true })
  }
  try {
    const docker = new Docker({ socketPath })
    await vi.waitFor(() => docker.ping(), { timeout: START_DEADLINE_MS })
  } catch (thrown) {
    await close()
    throw thrown
  }
  return { dockerHost: `unix://${socketPath}`, pid: program.pid, [Symbol.asyncDispose]: close }
}

/** Gives an engine images that the machine's has, by their names. */
export async function loadImagesInto({ dockerHost }: IsolatedEngine, names: readonly string[]): Promise<void> {
  const save = spawn('docker', ['save', ...names], { stdio: ['ignore', 'pipe', 'inherit'] })
  const inner = new Docker({ socketPath: dockerHost.replace('unix://', '') })
  await text(await inner.loadImage(save.stdout, { quiet: true }))
}

/** What runs a program in an engine's network. */
export const inNetworkOf = ({ pid }: IsolatedEngine) => ['nsenter', '--target', String(pid), '--net'] as const

export interface LinkOptions {
  /** Of both its ends. */
  readonly name: string
  /** Addresses of this machine and of the engine at it. */
  readonly here: string
  readonly there: string
}

/** A link between this machine and an engine's network, which has no other. It goes with the engine's network, if not before. */
export async function linkTo(engine: IsolatedEngine, { name, here, there }: LinkOptions): Promise<AsyncDisposable> {
  const inside = [...inNetworkOf(engine), 'ip']
  for (const [program = '', ...args] of [
    ['ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', name, 'netns', String(engine.pid)],
    ['ip', 'address', 'add', `${here}/30`, 'dev', name],
    [...inside, 'address', 'add', `${there}/30`, 'dev', name],
    [...inside, 'link', 'set', name, 'up'],
    ['ip', 'link', 'set', name, 'up'],
  ])
    await run(program, args)
  return { [Symbol.asyncDispose]: async () => void (await run('ip', ['link', 'delete', name])) }
}
