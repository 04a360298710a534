import { once } from 'node:events'
import { basename } from 'node:path'
import type { Duplex } from 'node:stream'
import { type Engine, execStream, removeVolume } from '../../engine/index.ts'
import { orAborted, Slots } from '../../lifetime/index.ts'
import { imagePaths } from '../../qemu/index.ts'
import { type SocketsMount, thisUser, type UserIds } from '../box.ts'
import { type DockerMachine, dialWhenThere } from './machine.ts'

/** What images/runner/dial.c says when it is connected; what comes after it is the socket's. */
const CONNECTED = 'ok\n'

/**
 * At a time, into one box: each is a process in it, which ends with its stream, and the limit of processes is there for QEMU's threads. Ports of
 * this machine that a guest reaches take 96 of them at most (forward/host-ports.ts). More wait.
 */
export const MOST_DIALLED = 224

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
    dialler: ({ id }, { target, owner = thisUser() }) => {
      const slots = new Slots(MOST_DIALLED)
      return async (name, signal) => {
        const slot = await slots.take(signal)
        try {
          const dialled = { path: `${target}/${name}`, owner, signal }
          const stream = await dialWhenThere(() => dialWithin(engine, id, dialled), signal)
          stream.once('close', () => slot[Symbol.dispose]())
          return stream
        } catch (thrown) {
          slot[Symbol.dispose]()
          throw thrown
        }
      }
    },
    addressOf: async () => undefined,
    removeSockets: (sockets) => removeVolume(engine, volumeOf(sockets)),
  }
}

interface Dialled {
  readonly path: string
  readonly owner: UserIds
  readonly signal: AbortSignal
}

async function dialWithin(engine: Engine, container: string, { path, owner, signal }: Dialled): Promise<Duplex> {
  // Root in the box may do nothing with what belongs to others.
  const user = `${owner.uid}:${owner.gid}`
  const stream = await execStream(engine, container, [imagePaths.dial, path], { user, input: 'framed' })
  try {
    await orAborted(connected(stream), signal)
    return stream
  } catch (thrown) {
    stream.destroy()
    throw thrown
  }
}

async function connected(stream: Duplex): Promise<void> {
  for (;;) {
    // Exactly so much: more would be the socket's.
    const said = stream.read(CONNECTED.length)
    if (String(said) === CONNECTED) return
    if (said !== null || stream.readableEnded) throw new Error(`the box did not connect to its socket: ${said ?? ''}`)
    await once(stream, 'readable')
  }
}

/** The directory's name is unique among those of this machine, and says whose it is. */
function volumeOf({ directory }: SocketsMount): string {
  return basename(directory)
}
