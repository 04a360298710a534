import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFile, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { basename, join } from 'node:path'
import type { Duplex } from 'node:stream'
import pRetry from 'p-retry'
import type { Architecture } from '../../arch/index.ts'
import {
  type AttachedContainer,
  type ContainerMount,
  type Engine,
  execStream,
  removeVolume,
} from '../../engine/index.ts'
import { orAborted, Slots, untilClosed } from '../../lifetime/index.ts'
import { imagePaths } from '../../qemu/index.ts'
import { type Box, type DialOptions, type SocketsMount, thisUser, type UserIds } from '../box.ts'

/** What depends on whether the engine's machine is this one. */
export interface DockerMachine {
  availableMib(): Promise<number | undefined>
  processor(): Promise<string>
  /** Changes with each boot of the machine; empty where it cannot be known. */
  boot(): Promise<string>
  /** What can be seen of its KVM without a guest: whether it has a driver, and whose its device is. Empty where that cannot be known. */
  kvm(): Promise<string>
  mountSockets(mount: SocketsMount, labels: Readonly<Record<string, string>>): ContainerMount
  readonly dials: Box['dials']
  /** Connects to sockets in a container. */
  dialler(container: Pick<AttachedContainer, 'id'>, sockets: SocketsMount): Dial
  /** Whether containers are reached from here at their addresses. */
  readonly reachesAddresses: boolean
  /** What of a box's sockets is on the machine when the box is no more. */
  removeSockets(sockets: SocketsMount): Promise<unknown>
}

/** Connects to a socket, waiting for it until the signal aborts. */
export type Dial = (name: string, signal: AbortSignal, options?: DialOptions) => Promise<Duplex>

/**
 * Connects to a socket that the program in a box makes when it starts; waits for it until `signal` aborts.
 * @throws the signal's reason
 */
export async function dialWhenThere(dial: () => Promise<Duplex>, signal: AbortSignal): Promise<Duplex> {
  return await pRetry(dial, {
    // A socket that is not there yet costs a stat: look often, the caller's deadline ends it.
    retries: Number.POSITIVE_INFINITY,
    minTimeout: 5,
    maxTimeout: 20,
    signal,
  })
}

export async function dialSocket(path: string, signal: AbortSignal): Promise<Duplex> {
  signal.throwIfAborted()
  const socket = connect({ path, allowHalfOpen: true })
  try {
    await once(socket, 'connect', { signal })
    return socket
  } catch (cause) {
    socket.destroy()
    throw cause
  }
}

/** The engine runs on this machine: containers have our directories, and can be reached at their addresses. */
export function localMachine(engine: Engine): DockerMachine {
  return {
    availableMib,
    processor: () => processor(engine.arch),
    boot: async () => (await readOrEmpty('/proc/sys/kernel/random/boot_id')).trim(),
    kvm,
    mountSockets: ({ directory, target }) => ({ kind: 'bind', source: directory, target, access: 'read-write' }),
    dials: 'sockets',
    dialler:
      (_, { directory }) =>
      (name, signal) =>
        dialWhenThere(() => dialSocket(join(directory, name), signal), signal),
    reachesAddresses: true,
    removeSockets: async () => {},
  }
}

/** What the kernel can give without swapping; undefined on systems that do not tell. */
async function availableMib(): Promise<number | undefined> {
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(await readOrEmpty('/proc/meminfo'))?.[1]
  return kib === undefined ? undefined : Number(kib) / 1024
}

async function processor({ cpuinfoFields }: Architecture): Promise<string> {
  const lines = (await readOrEmpty('/proc/cpuinfo')).split('\n')
  const known = lines.filter((line) => cpuinfoFields.some((field) => new RegExp(`^${field}\\s*:`).test(line)))
  return createHash('sha256')
    .update([...new Set(known)].join('\n'))
    .digest('hex')
}

async function kvm(): Promise<string> {
  const [drivers, node] = await Promise.all([readOrEmpty('/proc/misc'), stat('/dev/kvm').catch(() => undefined)])
  const driver = / kvm$/m.test(drivers) ? 'driver' : 'no driver'
  return node === undefined ? `${driver}, no device` : `${driver}, ${node.mode.toString(8)} ${node.uid} ${node.gid}`
}

async function readOrEmpty(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch(() => '')
}

/**
 * At a time, into one box: each is a process in it, which ends with its stream, and the limit of processes is there for QEMU's threads. Ports of
 * this machine that a guest reaches take 96 of them at most (forward/host-ports.ts). More wait.
 */
export const MOST_DIALLED = 224

/** Of these at a time: the engine starts a program for each, and hundreds at once leave its machine nothing for the guest. */
export const MOST_DIALLING = 16

/**
 * The engine runs elsewhere. Sockets are in a volume of its own, and dialled by a program in the box; no address of a container can be
 * reached from here.
 */
export function remoteMachine(engine: Engine): DockerMachine {
  return {
    availableMib: async () => undefined,
    processor: async () => '',
    boot: async () => '',
    kvm: async () => '',
    mountSockets: (sockets, labels) => ({
      kind: 'volume',
      volume: volumeOf(sockets),
      labels,
      target: sockets.target,
      access: 'read-write',
    }),
    dials: 'programs',
    dialler: ({ id }, { target, owner = thisUser() }) => {
      const slots = new Slots(MOST_DIALLED)
      const beginning = new Slots(MOST_DIALLING)
      const waiting = new Set<() => void>()
      const advance = () => {
        for (const tell of waiting) tell()
      }
      return async (name, signal, { turn = 'waits', onAdvance = () => {} } = {}) => {
        const wait = async (queue: Slots) => {
          // Of its own: who calls may give the same one for several.
          const tell = () => onAdvance()
          waiting.add(tell)
          const slot = await queue.take(signal).finally(() => waiting.delete(tell))
          return {
            [Symbol.dispose]: () => {
              slot[Symbol.dispose]()
              advance()
            },
          }
        }
        const dialled = { argv: [imagePaths.dial, `${target}/${name}`], owner, parts: 'framed', signal } as const
        if (turn === 'first') return await dialWhenThere(() => execWithin(engine, id, dialled), signal)
        const slot = await wait(slots)
        const begin = async () => {
          using _turn = await wait(beginning)
          return await execWithin(engine, id, dialled)
        }
        try {
          return untilClosed(await dialWhenThere(begin, signal), slot)
        } catch (thrown) {
          slot[Symbol.dispose]()
          throw thrown
        }
      }
    },
    reachesAddresses: false,
    removeSockets: (sockets) => removeVolume(engine, volumeOf(sockets)),
  }
}

/** What a program says when it is there, such as images/runner/dial.c when it is connected; all that comes after it is what it is for. */
const THERE = 'ok\n'

interface Executed {
  readonly argv: readonly string[]
  readonly owner: UserIds
  /** @default 'plain' */
  readonly parts?: 'plain' | 'framed'
  readonly signal: AbortSignal
}

/** Runs a program in a container, and waits until it is there. @throws what it said instead; the signal's reason */
export async function execWithin(
  engine: Engine,
  container: string,
  { argv, owner, parts = 'plain', signal }: Executed,
): Promise<Duplex> {
  // Root in the box may do nothing with what belongs to others.
  const user = `${owner.uid}:${owner.gid}`
  const starting = execStream(engine, container, argv, { user, parts })
  const stream = await orAborted(starting, signal).catch((thrown) => {
    // One that starts all the same has nobody.
    starting.then((late) => late.destroy()).catch(() => {})
    throw thrown
  })
  try {
    await orAborted(isThere(stream), signal)
    return stream
  } catch (thrown) {
    stream.destroy()
    throw thrown
  }
}

async function isThere(stream: Duplex): Promise<void> {
  for (;;) {
    // Exactly so much: more would be what it is for.
    const said = stream.read(THERE.length)
    if (String(said) === THERE) return
    if (said !== null || stream.readableEnded) throw new Error(`the program in the box did not begin: ${said ?? ''}`)
    await once(stream, 'readable')
  }
}

/** The directory's name is unique among those of this machine, and says whose it is. */
function volumeOf({ directory }: SocketsMount): string {
  return basename(directory)
}
