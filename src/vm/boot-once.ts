import { randomBytes } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type ForwardedSocket, forwardUnixSocket } from '../forward/index.ts'
import { Disposals, startDeadline } from '../lifetime/index.ts'
import type { Logger } from '../log/index.ts'
import type { KernelEntry } from '../options/index.ts'
import { type Accelerator, type ControlConnection, connectControl, guestLink } from '../qemu/index.ts'
import { connectSsh, dropbearPrivateKey, generateKeyPair, publicKeyLine, type SshConnection } from '../ssh/index.ts'
import { ConsoleLog } from './console-log.ts'
import { startVmContainer } from './container.ts'
import { describeDeath } from './death.ts'
import { BootTimeoutError, NoSignOfLifeError } from './errors.ts'
import type { Host } from './host.ts'
import { makeRunDirectory } from './run-directory.ts'
import type { Timeline } from './timeline.ts'

/** A guest that is up says its first word long before this, on the slowest machines seen; one that hangs never does. */
const FIRST_WORD_DEADLINE_MS = 90_000

export interface BootOptions {
  readonly host: Host
  readonly entry: KernelEntry
  readonly image: string
  readonly accelerator: Accelerator
  readonly timeline: Timeline
  readonly log: Logger
  readonly signal: AbortSignal
}

/** A VM whose dockerd answers, and what hangs on it. */
export interface BootedVm {
  /** Ends it all: forward, connection, container, directory. */
  readonly disposals: Disposals
  readonly ssh: SshConnection
  readonly docker: ForwardedSocket
  /** Address of the container: what the guest publishes is reached here. */
  readonly address: string
  /** Aborts when the VM is gone; its reason is the error that says why. */
  readonly gone: AbortSignal
  readonly consolePath: string
}

export async function bootOnce(options: BootOptions): Promise<BootedVm> {
  const { host, entry, log, timeline } = options
  await using starting = new Disposals()
  const runDirectory = await makeRunDirectory(host.settings.runtimeDirectory)
  starting.defer('run directory', () => rm(runDirectory, { recursive: true, force: true }))
  const console = await ConsoleLog.open(
    join(host.settings.cacheDirectory, 'consoles', `${host.ownership.run}-${entry.name}.log`),
  )
  let fate: 'keep' | 'remove' = 'keep'
  starting.defer('console log', () => console.close(fate))
  try {
    const guest = await startGuest({ ...options, runDirectory, console, starting })
    const { gone, control, signal } = guest
    const address = guest.address
    const { hostKey, clientKey } = await introduce({ control, entry, signal })
    const connecting = timeline.time('ssh', () =>
      connectSsh({
        host: address,
        port: guestLink.sshPort,
        user: 'root',
        hostPublicKey: hostKey.publicKey,
        clientKey,
        signal,
        log,
        entry: entry.name,
      }),
    )
    // dockerd takes longest, so SSH connects beside it; whichever fails first is the error.
    await Promise.all([connecting, timeline.time('dockerd', () => control.phase('ready', signal))])
    const ssh = starting.use('ssh connection', await connecting)
    const docker = await forwardUnixSocket({
      connection: ssh,
      remotePath: '/var/run/docker.sock',
      localPath: join(runDirectory, 'docker.sock'),
      log,
      entry: entry.name,
      diagnose: async (lost) => (gone.aborted ? gone.reason : lost),
    })
    starting.use('docker socket', docker)
    gone.addEventListener('abort', () => docker.explain(gone.reason), { once: true })
    const disposals = starting.move()
    disposals.defer('console of a VM that lived', () => {
      fate = gone.aborted ? 'keep' : 'remove'
    })
    return { disposals, ssh, docker, address, gone, consolePath: console.path }
  } catch (thrown) {
    throw thrown instanceof BootTimeoutError ? withConsole(thrown, entry, console) : thrown
  }
}

interface GuestStart extends BootOptions {
  readonly runDirectory: string
  readonly console: ConsoleLog
  readonly starting: Disposals
}

/** Starts the container and waits for the guest's first word. */
async function startGuest({ starting, console, runDirectory, ...options }: GuestStart) {
  const { timeline, entry } = options
  const container = starting.use(
    'container',
    await timeline.time('container', () => startVmContainer({ ...options, runDirectory })),
  )
  const recorded = record(container.stdout, console)
  const gone = new AbortController()
  let control: ControlConnection | undefined
  // The console's last lines are the reason: they are read to their end before it is told.
  void Promise.all([container.exited, recorded]).then(([exit]) => {
    gone.abort(describeDeath({ exit, entry, console, control, stderr: container.stderr.tail(10) }))
  })
  const signal = AbortSignal.any([options.signal, gone.signal])
  control = await connectControl(join(runDirectory, 'control.sock'), signal)
  starting.defer('control port', control.close)
  await timeline.time('kernel and init', () => firstWord(control, { entry, console, signal }))
  return { control, gone: gone.signal, signal, address: container.ipAddress ?? guestLink.hostAddress }
}

async function record(lines: AsyncIterable<string>, console: ConsoleLog): Promise<void> {
  for await (const line of lines) console.add(line)
}

async function firstWord(
  control: ControlConnection,
  { entry, console, signal }: { entry: KernelEntry; console: ConsoleLog; signal: AbortSignal },
): Promise<void> {
  using deadline = startDeadline({
    ms: FIRST_WORD_DEADLINE_MS,
    signal,
    onPassed: () =>
      new NoSignOfLifeError({
        what: `the guest showed no sign of life in ${FIRST_WORD_DEADLINE_MS / 1000} s`,
        entry: entry.name,
        remedy: `read its console at ${console.path}`,
        output: console.tail(),
      }),
  })
  await control.phase('init', deadline.signal)
}

/** Makes the keys of this VM and pushes its identity. The private host key leaves this process only towards its guest. */
async function introduce({
  control,
  entry,
  signal,
}: {
  control: ControlConnection
  entry: KernelEntry
  signal: AbortSignal
}) {
  const hostKey = generateKeyPair()
  const clientKey = generateKeyPair()
  const identity = {
    hostname: entry.name,
    hostKey: dropbearPrivateKey(hostKey),
    authorizedKey: publicKeyLine(clientKey),
    entropy: randomBytes(32),
  }
  await control.pushIdentity(identity, signal)
  return { hostKey, clientKey }
}

function withConsole({ message }: BootTimeoutError, entry: KernelEntry, console: ConsoleLog): BootTimeoutError {
  return new BootTimeoutError({
    what: `the VM was not ready within ${entry.bootTimeoutMs / 1000} s; console at ${console.path}`,
    entry: entry.name,
    remedy: 'give it more time with bootTimeoutMs, or read its console for what it waits for',
    output: console.tail() || message,
  })
}
