import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmod, lstat, rename, rm, stat } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import type { Duplex } from 'node:stream'
import { type Logger, silentLogger } from '../log/index.ts'
import type { Destination, Streams } from '../streams/index.ts'
import {
  ForwardDirectoryNotPrivateError,
  ForwardListenError,
  ForwardPathTakenError,
  ForwardPathTooLongError,
} from './errors.ts'

/** A client is refused (at a unix socket with EAGAIN) when more than this wait to be taken; Node's own 511 is few while we are busy. */
const BACKLOG = 4096

export interface PrivacyOptions {
  /** Who may own the directory beside this process's user: as who the VM's QEMU runs, which makes sockets there as well. */
  readonly directoryOwner?: number | undefined
  /** Kernel entry that errors name. */
  readonly entry?: string | undefined
}

export interface ListenOptions extends PrivacyOptions {
  /** At most 107 bytes, in a directory of ours that has mode 0700. */
  readonly path: string
  readonly onSocket: (socket: Socket) => void
  /** An accept that failed, for want of file descriptors for example; the server goes on. */
  readonly onError: (error: Error) => void
}

export interface Listener {
  /** Removes the socket, takes no more connections and destroys those that are there. */
  close(): Promise<void>
}

/**
 * Listens at a unix socket (mode 0600) that nobody but us reaches.
 * @throws ForwardDirectoryNotPrivateError, ForwardPathTooLongError, ForwardPathTakenError, ForwardListenError
 */
export async function listenPrivately(options: ListenOptions): Promise<Listener> {
  const { path, birthPath } = await checkPrivatePath(options.path, options)
  const { server, close } = relayServer(options.onSocket)
  try {
    server.listen({ path: birthPath, backlog: BACKLOG })
    await once(server, 'listening')
    // Nobody connects to the name of its birth: under its own name the socket never had another mode.
    await chmod(birthPath, 0o600)
    await rename(birthPath, path)
  } catch (cause) {
    await close()
    await rm(birthPath, { force: true })
    throw new ForwardListenError({
      what: `the socket ${path} cannot be made`,
      entry: options.entry,
      remedy: 'use a directory on a file system that has unix sockets, and look whether its disk is full',
      cause,
    })
  }
  server.on('error', options.onError)
  return {
    close: async () => {
      await rm(path, { force: true })
      await close()
    },
  }
}

export interface LoopbackPort {
  /** A loopback address of this machine. */
  readonly address: string
  /** 0 for one that is free. */
  readonly port: number
  /** Where its connections end in the guest. @default the same port */
  readonly destination?: Destination
}

/** A TCP port of this machine that nobody else can have. */
export interface HeldPort extends Listener {
  readonly port: number
  /** From now on its connections end there; until then they are reset. */
  lead(destination: Destination, streams: Streams): void
}

/** @throws what Node throws for an address that cannot be listened at, such as EADDRINUSE */
export async function holdOnLoopback(
  { address, port }: Pick<LoopbackPort, 'address' | 'port'>,
  log: Logger = silentLogger,
): Promise<HeldPort> {
  let onSocket: (socket: Socket) => void = reset
  const { server, close } = relayServer((socket) => onSocket(socket))
  server.listen({ host: address, port, backlog: BACKLOG })
  await once(server, 'listening')
  server.on('error', (error) => log.warn(`${address}:${port}: ${error.message}`))
  const lead: HeldPort['lead'] = (destination, streams) => {
    onSocket = (socket) => carry(socket, () => streams.open(destination))
  }
  return { close, lead, port: (server.address() as AddressInfo).port }
}

/**
 * Listens at a TCP port of this machine whose connections end in the guest.
 * @throws as `holdOnLoopback`
 */
export async function listenOnLoopback(
  { address, port, destination = { kind: 'tcp', port } }: LoopbackPort,
  streams: Streams,
  log?: Logger,
): Promise<Listener & { readonly port: number }> {
  const held = await holdOnLoopback({ address, port }, log)
  held.lead(destination, streams)
  return held
}

/** Carries a connection into the guest, whatever is said over it. */
export function carry(local: Socket, open: () => Promise<Duplex>): void {
  local.on('error', () => {})
  open().then(
    (remote) => splice(local, remote),
    // Refused in the guest, or no guest: to the client it is a connection that was reset, as the engine's own proxy has it.
    () => reset(local),
  )
}

/** An end passes on as a half-close, back-pressure as it is; a side that breaks breaks the other. */
export function splice(local: Socket, remote: Duplex): void {
  if (local.destroyed) return void remote.destroy()
  remote.on('error', () => reset(local))
  endWith(local, remote)
  remote.once('close', () => local.destroySoon())
  local.pipe(remote)
  remote.pipe(local)
}

/**
 * Ends a stream into the guest with the local side: at once where that broke. Where both of its directions have ended, what it said last may
 * still be on its way: the stream closes itself when all of it is there.
 */
export function endWith(local: Socket, remote: Duplex): void {
  local.once('close', () => {
    const isDone = local.readableEnded && local.writableFinished && local.errored === null
    if (!isDone) remote.destroy()
  })
}

/** A unix socket has no reset: its client reads an end. */
function reset(socket: Socket): void {
  if (socket.remoteFamily === undefined) socket.destroy()
  else socket.resetAndDestroy()
}

interface RelayServer {
  /** Listens nowhere yet. */
  readonly server: Server
  /** Takes no more connections and ends those that are there. */
  close(): Promise<void>
}

/** A server whose connections go on elsewhere: each direction ends by itself, and nothing is read before there is a place for it. */
function relayServer(onSocket: (socket: Socket) => void): RelayServer {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    onSocket(socket)
  })
  const close = async () => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    for (const socket of sockets) socket.destroy()
    await closed
  }
  return { server, close }
}

/** Longest path of a unix socket: `sun_path` without its NUL byte. */
const sunPathMaxBytes = process.platform === 'darwin' ? 103 : 107

export interface PrivatePath {
  readonly path: string
  /** A free name beside it, where the socket waits until it has its mode. */
  readonly birthPath: string
}

/** Checks that a socket at `path` can be made, and reached by nobody but us. */
async function checkPrivatePath(path: string, options: PrivacyOptions): Promise<PrivatePath> {
  const { entry } = options
  const directory = dirname(path)
  const birthPath = join(directory, `.${randomBytes(3).toString('hex')}`)
  const bytes = Math.max(Buffer.byteLength(path), Buffer.byteLength(birthPath))
  if (bytes > sunPathMaxBytes)
    throw new ForwardPathTooLongError({
      what: `the socket path ${path} needs ${bytes} bytes, and ${sunPathMaxBytes} fit into a socket address`,
      entry,
      remedy: 'use a shorter directory, such as one below /tmp or $XDG_RUNTIME_DIR',
    })
  await checkPrivateDirectory(directory, options)
  if (await exists(path))
    throw new ForwardPathTakenError({
      what: `there is something at ${path} already`,
      entry,
      remedy: 'use a new directory for every run, or remove the file if no run uses it',
    })
  return { path, birthPath }
}

async function checkPrivateDirectory(directory: string, { directoryOwner, entry }: PrivacyOptions): Promise<void> {
  const refuse = (why: string, cause?: unknown) =>
    new ForwardDirectoryNotPrivateError({
      what: `the directory ${directory} of a forwarded socket ${why}`,
      entry,
      remedy: `who reaches the socket is root in the virtual machine: make the directory with mkdtemp, or chmod 700 ${directory}`,
      cause,
    })
  const found = await stat(directory).catch((cause) => {
    throw refuse('cannot be used', cause)
  })
  if (!found.isDirectory()) throw refuse('is not a directory')
  if (found.uid !== process.getuid?.() && found.uid !== directoryOwner) throw refuse('belongs to another user')
  const mode = found.mode & 0o777
  if ((mode & 0o077) !== 0) throw refuse(`has mode 0${mode.toString(8)}, which lets others in`)
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
