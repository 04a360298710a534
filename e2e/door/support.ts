import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, connect as dial, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { beforeAll, beforeEach } from 'vitest'
import type { Architecture } from '../../src/arch/index.ts'
import { exporters, llb, type State } from '../../src/buildkit/index.ts'
import { dockerHost } from '../../src/host/index.ts'
import { debianMirror, ensureBaseImage } from '../../src/image/index.ts'
import { doorPrograms } from '../../src/image/recipes/guest.ts'
import { markOurs } from '../../src/image/recipes/ingredient.ts'
import { tools } from '../../src/image/recipes/tools.ts'
import { BASE_SUITE } from '../../src/image/recipes/vm-image.ts'
import { readSettings } from '../../src/options/index.ts'
import { connect } from '../buildkit/support.ts'
import { engineUnderTest } from '../engine/support.ts'

const EVENT_DEADLINE_MS = 30_000
/** A port of the loopback device that nothing else uses. */
const PORT = 61_923
/** Where ports of this machine are for the guest: another address of the loopback device. */
export const HOST_ADDRESS = '127.77.0.1'

/** The state that images are compiled in, as VMs' images have it. */
export async function toolsState(): Promise<{
  readonly tools: State
  readonly arch: Architecture
  readonly mirror: Awaited<ReturnType<typeof debianMirror>>
}> {
  const settings = readSettings()
  const host = dockerHost(await engineUnderTest(), settings)
  const mirror = await debianMirror(settings)
  const { ref } = await ensureBaseImage({ host, suite: BASE_SUITE, mirror })
  const base = markOurs(llb.image(ref, { name: `[base] ${ref}`, platform: host.arch.platform }))
  return { tools: tools(base, { mirror, suite: BASE_SUITE }), arch: host.arch, mirror }
}

/** Both ends of the door as images have them, in a directory of this machine: `box` and `guest`. */
export async function compileDoor(directory: string): Promise<void> {
  const { tools: state, arch } = await toolsState()
  await using buildkit = await connect()
  await buildkit.solve({
    definition: doorPrograms(state, arch).definition(),
    exporter: exporters.local({ directory }),
  })
}

/** Both ends of a door on this machine, and the service that it leads to. */
export class Door implements AsyncDisposable {
  /** What the service does with a connection. @default echoes */
  onSocket: (socket: Socket) => void = (socket) => void socket.pipe(socket)
  /** Connections of the service that are open now. */
  readonly sockets = new Set<Socket>()
  readonly service: string
  readonly #directory: string
  readonly #box: ChildProcess
  readonly #guest: ChildProcess
  readonly #server: Server

  private constructor(programs: string, directory: string, nameServers: readonly string[]) {
    this.#directory = directory
    this.service = join(directory, 'service.sock')
    const stdio = ['pipe', 'inherit', 'inherit'] as const
    const guestArguments = ['127.0.0.1', String(PORT), '127.0.0.1', join(programs, 'share')]
    this.#guest = spawn(join(programs, 'guest'), guestArguments, { stdio: [...stdio] })
    const boxArguments = [this.path, '127.0.0.1', String(PORT), this.hostPortsPath, HOST_ADDRESS, ...nameServers]
    this.#box = spawn(join(programs, 'box'), boxArguments, { stdio: [...stdio] })
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.sockets.add(socket)
      socket.on('error', () => {})
      socket.once('close', () => this.sockets.delete(socket))
      this.onSocket(socket)
    })
  }

  /** @param nameServers as the box's end takes them; it has none with sockets of its own unless they are given */
  static async open(programs: string, directory: string, nameServers: readonly string[] = []): Promise<Door> {
    const door = new Door(programs, directory, nameServers)
    try {
      await door.#opened(nameServers)
      return door
    } catch (thrown) {
      await door[Symbol.asyncDispose]()
      throw thrown
    }
  }

  async #opened(nameServers: readonly string[]): Promise<void> {
    this.#server.listen(this.service)
    await once(this.#server, 'listening')
    const deadline = performance.now() + EVENT_DEADLINE_MS
    const until = async (holds: () => boolean | Promise<boolean>) => {
      while (!(await holds())) {
        if (performance.now() > deadline) throw new Error('the door does not open')
        await delay(5)
      }
    }
    await until(() => this.#answers().catch(() => false))
    // At rest the box's end has more descriptors, for its other sockets, and not while there is a connection.
    const others = 1 + nameServers.reduce((sum, word) => sum + (word.includes('=') ? 2 : 1), 0)
    await until(() => this.descriptors.box === this.descriptors.guest + others)
  }

  /** Whether both ends listen by now: the guest's has answered somebody, and waits for the next. */
  async #answers(): Promise<boolean> {
    const secret = 'f'.repeat(64)
    this.order(`admit ${secret}`)
    const socket = await this.dial()
    socket.end(`${secret} unix /nowhere.sock\n`)
    const answer = await text(socket)
    this.order('forget')
    return answer !== ''
  }

  get path(): string {
    return join(this.#directory, 'door.sock')
  }

  /** Where the owner offers ports of this machine. */
  get hostPortsPath(): string {
    return join(this.#directory, 'host-ports.sock')
  }

  /** An order to the guest's end, as its agent gives it. */
  order(line: string): void {
    this.#guest.stdin?.write(`${line}\n`)
  }

  /** Open descriptors of the two ends. */
  get descriptors(): { readonly box: number; readonly guest: number } {
    const count = ({ pid }: ChildProcess) => readdirSync(`/proc/${pid}/fd`).length
    return { box: count(this.#box), guest: count(this.#guest) }
  }

  /** A connection without a word on it. */
  async dial(path = this.path): Promise<Socket> {
    const socket = dial({ path, allowHalfOpen: true })
    socket.on('error', () => {})
    await once(socket, 'connect')
    return socket
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    this.#server.close()
    for (const program of [this.#box, this.#guest]) {
      if (program.exitCode !== null || program.signalCode !== null) continue
      const ended = once(program, 'exit')
      program.kill('SIGKILL')
      await ended
    }
  }
}

/** Compiles the programs for a file's tests, and joins them anew for each. @param take is given the door, before the test */
export function openDoorForEachTest(take: (door: Door) => void): void {
  let programs: string
  beforeAll(async () => {
    programs = await mkdtemp(join(tmpdir(), 'tk-door-programs-'))
    await compileDoor(programs)
    return () => rm(programs, { recursive: true })
  })
  beforeEach(async () => {
    const directory = await mkdtemp(join(tmpdir(), 'tk-door-'))
    const door = await Door.open(programs, directory)
    take(door)
    return async () => {
      await door[Symbol.asyncDispose]()
      await rm(directory, { recursive: true })
    }
  })
}
