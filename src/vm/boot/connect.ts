import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { type ForwardedSocket, type ForwardPlace, Forwards, loopbackAddress } from '../../forward/index.ts'
import { type BoxEndpoint, dockerdAt } from '../../host/index.ts'
import { startDeadline } from '../../lifetime/index.ts'
import { looksForLeaks } from '../../options/index.ts'
import { type ControlConnection, type GuestProxy, guestLink, setVmNetworkLink } from '../../qemu/index.ts'
import { connectSsh, dropbearPrivateKey, generateKeyPair, publicKeyLine } from '../../ssh/index.ts'
import {
  type Destination,
  doorStreams,
  makeDoorSecret,
  SshAccess,
  StreamRefusedError,
  type Streams,
  sparingStreams,
  waitForDoor,
} from '../../streams/index.ts'
import { headlineOf } from '../death/death.ts'
import { DOOR_SOCKET, HOST_PORTS_SOCKET } from '../guest-settings.ts'
import { KernelReports } from '../kernel-reports.ts'
import { scanForLeaks } from '../memory-leaks.ts'
import type { VmPlan } from '../plan.ts'
import { withPlaces } from '../symbols.ts'
import type { Attempt } from './attempt.ts'
import type { BootedVm, Guest, GuestKeys } from './booted-vm.ts'

export interface Connecting {
  /** That of a restored guest answers already. */
  readonly dockerd: 'starting' | 'answers'
}

/** Makes a guest that runs ours: opens its door, tells it who it is, and gives its dockerd a socket on this machine. */
export async function connectVm(attempt: Attempt, guest: Guest, { dockerd }: Connecting): Promise<BootedVm> {
  const { timeline, hostname } = attempt.start
  const { control, signal, gone } = guest
  const { endpoint } = guest.box
  const keys = makeGuestKeys()
  openDoor(keys, control, attempt.plan.settings?.proxies)
  const kernelReports = kernelReportsOf(attempt, guest)
  if (attempt.plan.entry.kernelReports !== 'ignore') kernelReports.follow(dockerd === 'starting' ? 'boot' : 'now')
  const door = streamsInto(attempt, guest, keys)
  // Side by side, because all of them wait for the guest; whichever fails first is the error.
  await Promise.all([
    timeline.time('door', () => waitForDoor(door, dockerSocket, signal)),
    timeline.time('identity', () => introduce({ control, keys, hostname, endpoint, signal })).then(guest.proven),
    dockerd === 'starting' && timeline.time('dockerd', () => control.phase('ready', signal)),
  ])
  if (hasAnothersAddress(attempt, guest)) {
    await setVmNetworkLink(guest.monitor.until(signal), 'up')
    control.announceAddress()
  }
  // Only now is the guest quick to answer.
  await timeline.time('clock', () => control.setClock(signal))
  const ssh = sshInto(attempt, guest, { keys, door })
  const streams = guest.box.dials === 'sockets' ? door : sparingStreams({ door, ssh, entry: attempt.plan.entry.name })
  const { forwards, docker } = await forwardDocker(attempt, guest, streams)
  const address = guest.box.address ?? (await forwardPorts(forwards, attempt))
  if (dockerd === 'starting') {
    const { name, kernelReports: option } = attempt.plan.entry
    if (looksForLeaks(option)) await timeline.time('leaks', () => scanForLeaks({ ssh, gone, entry: name }, signal))
    if (option !== 'ignore') await kernelReports.settle(signal)
  }
  signal.throwIfAborted()
  kernelReports.booted()
  const { runDirectory, console } = attempt
  const disposals = attempt.succeed()
  disposals.defer('watch', () => {
    guest.expectEnd()
    if (!gone.aborted) attempt.forgetConsole()
  })
  const access = { streams, ssh, keys, forwards, docker, address }
  return { ...access, disposals, guest, hostname, runDirectory, gone, console, kernelReports }
}

/** A clone of a checkpoint has its original's addresses on their network until it is told its own; the original may be there as well. */
export function hasAnothersAddress({ plan }: Attempt, { box }: Pick<Guest, 'box'>): boolean {
  return plan.origin === 'checkpoint' && box.endpoint !== undefined
}

/** What the guest's kernel reports; nothing until it is followed, or asked to settle. */
export function kernelReportsOf(
  { plan, start, resources }: Attempt,
  { control }: Pick<Guest, 'control'>,
): KernelReports {
  const { session, entry, image, machine, debugInfo } = plan
  const symbols = { host: session.host, image, entry: entry.name, log: start.log }
  const reports = new KernelReports({
    entry,
    accelerator: machine.accelerator.kind,
    port: control.kernelLog,
    log: start.log,
    ...(debugInfo && { locate: (block, signal) => withPlaces(block, symbols, signal) }),
  })
  resources.defer('kernel reports', () => reports.close())
  return reports
}

export function makeGuestKeys(): GuestKeys {
  return { doorSecret: makeDoorSecret(), hostKey: generateKeyPair(), clientKey: generateKeyPair() }
}

/** From now on the guest takes connections that begin with the secret. */
export function openDoor(
  { doorSecret }: GuestKeys,
  control: ControlConnection,
  proxies: readonly GuestProxy[] = [],
): void {
  control.openDoor({ doorSecret, entropy: randomBytes(32), proxies })
}

export interface Introduction {
  readonly control: ControlConnection
  readonly keys: GuestKeys
  readonly hostname: string
  /** @default it is on no network of VMs */
  readonly endpoint?: BoxEndpoint | undefined
  readonly signal: AbortSignal
}

/** Makes a guest itself in all else. The private host key leaves this process only towards its guest. */
export async function introduce({ control, keys, hostname, endpoint, signal }: Introduction): Promise<void> {
  const identity = {
    hostname,
    machineId: randomBytes(16).toString('hex'),
    hostKey: dropbearPrivateKey(keys.hostKey),
    authorizedKey: publicKeyLine(keys.clientKey),
    endpoint,
  }
  await control.pushIdentity(identity, signal)
}

export const dockerSocket = { kind: 'unix', path: '/var/run/docker.sock' } as const satisfies Destination
/** Those of the guest by which we come in. */
export const ownPorts: readonly number[] = [guestLink.sshPort, guestLink.doorPort]
export const sshServer = { kind: 'tcp', port: guestLink.sshPort } as const satisfies Destination

/** A guest that swaps, and starts another SSH server meanwhile, takes less. */
export const SSH_DEADLINE_MS = 60_000

/** The ways into the guest, through its door. */
export function streamsInto({ plan, resources }: Attempt, { box, gone }: Guest, { doorSecret }: GuestKeys): Streams {
  const ended = new AbortController()
  resources.defer('streams', () => ended.abort(new Error('the virtual machine was stopped')))
  return doorStreams({
    // A box that is gone, or about to go, makes no socket any more.
    dial: (signal, options) => box.dial(DOOR_SOCKET, AbortSignal.any([gone, ended.signal, signal]), options),
    secret: doorSecret,
    entry: plan.entry.name,
  })
}

/** SSH, for commands in the guest; connected when the first is run. */
export function sshInto(
  { plan, start, resources }: Attempt,
  { gone }: Guest,
  { keys, door }: { readonly keys: GuestKeys; readonly door: Streams },
): SshAccess {
  const ssh = new SshAccess(async (closed) => {
    using deadline = startDeadline({
      ms: SSH_DEADLINE_MS,
      onPassed: () => new Error(`there was none within ${SSH_DEADLINE_MS / 1000} s`),
      signal: AbortSignal.any([closed, gone]),
    })
    return await connectSsh({
      // Hundreds may wait for it.
      dial: (signal) => door.open(sshServer, { signal, turn: 'first' }),
      server: `port ${sshServer.port} of the virtual machine`,
      user: 'root',
      hostPublicKey: keys.hostKey.publicKey,
      clientKey: keys.clientKey,
      signal: deadline.signal,
      log: start.log,
      entry: plan.entry.name,
    })
  })
  return resources.use('ssh connection', ssh)
}

/** What Docker clients are told of a guest that has containerd alone: without a socket they would turn to this machine's engine. */
export function noDockerd({ engine, entry }: Pick<VmPlan, 'engine' | 'entry'>): StreamRefusedError | undefined {
  if (engine !== 'containerd') return undefined
  return new StreamRefusedError({
    what: 'the guest has no dockerd: its rootfs has containerd.service, and no docker.service',
    entry: entry.name,
    remedy:
      "use containerd, by forwards: [{ guest: '/run/containerd/containerd.sock' }] or by vm.exec(), or install docker in the rootfs",
  })
}

/** Makes the socket of this machine that is the guest's dockerd. */
export async function forwardDocker(
  { plan, start, runDirectory, resources }: Attempt,
  { box, gone, signal }: Guest,
  streams: Streams,
): Promise<{ readonly forwards: Forwards; readonly docker: ForwardedSocket }> {
  const forwards = resources.use(
    'forwards',
    new Forwards({
      streams,
      ports: box.address === undefined ? 'forwarded' : 'direct',
      reservedPorts: ownPorts,
      log: start.log,
      entry: plan.entry.name,
    }),
  )
  const docker = await forwards.addDocker({
    remotePath: dockerSocket.path,
    localPath: join(runDirectory.path, 'docker.sock'),
    directoryOwner: runDirectory.owner.uid,
    whenRefused: noDockerd(plan),
  })
  signal.throwIfAborted()
  gone.addEventListener('abort', () => forwards.explain(headlineOf(gone.reason)), { once: true })
  return { forwards, docker }
}

/** Lets the guest connect to a port of this machine. @throws HostPortNotOpenedError; the reason of a VM that is gone */
export async function offerHostPort(
  { forwards, guest: { box, gone } }: Pick<BootedVm, 'forwards' | 'guest'>,
  port: number,
): Promise<void> {
  const dial = (signal: AbortSignal) => box.dial(HOST_PORTS_SOCKET, signal)
  await forwards.addHostPort({ port, dial, gone })
}

/** For a box whose ports cannot be reached from this machine. Gives the address of this machine at which they are. */
async function forwardPorts(forwards: Forwards, { plan, runDirectory }: Attempt): Promise<string> {
  const address = loopbackAddress(plan.session.settings.ports)
  const place = { directory: runDirectory.path, directoryOwner: runDirectory.owner.uid }
  if (plan.engine === 'dockerd') await addPublishedPorts(forwards, address, place)
  return address
}

/**
 * Opens what containers publish at an address of this machine. An answer to a client is held back for what is asked here: it goes before the connections
 * of hundreds of clients that wait for their turn.
 */
export async function addPublishedPorts(
  forwards: Forwards,
  address: string,
  { directory, directoryOwner }: ForwardPlace,
): Promise<void> {
  const localPath = join(directory, 'ports.sock')
  await forwards.addSocket({ localPath, directoryOwner, destination: dockerSocket, turn: 'first' })
  await forwards.addPublishedPorts({ address, publishers: dockerdAt(localPath).publishers })
}
