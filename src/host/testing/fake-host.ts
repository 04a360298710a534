import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { type Duplex, duplexPair } from 'node:stream'
import { amd64 } from '../../arch/amd64.ts'
import type { Box, BoxExit, BoxSpec, Lines } from '../box.ts'
import { dialSocket, dialWhenThere } from '../docker/machine.ts'
import type { Host, HostNetwork, RegistryAccess, StoredImage } from '../host.ts'

/** What a box that a test plays may do. */
export interface FakeBox {
  readonly spec: BoxSpec
  /** Aborts when the box is no more. */
  readonly ended: AbortSignal
  print(line: string): void
  complain(line: string): void
  /** Makes a socket of the box's mount, or takes connections to a port of the box's own address. */
  listen(where: string | number, onConnection: (connection: Socket) => void): void
  /** Plays the programs that are started in it besides its own; their stream ends as theirs would. */
  onExec(play: (argv: readonly string[], program: Duplex) => void): void
  exit(exitCode: number): void
  /** Its sockets say and hear nothing any more, and stay. */
  fallSilent(): void
}

export interface FakeHostOptions {
  /** Plays the program of a box that was just started. What it throws is why the box was not. */
  readonly program: (box: FakeBox) => void
  readonly cores?: number
  readonly availableMib?: () => number
  readonly image?: StoredImage
  /** @default no mirror and no proxy */
  readonly registryAccess?: RegistryAccess
  /** @default packets of 1500 bytes, and IPv4 alone */
  readonly network?: Partial<HostNetwork>
}

/** A host without an engine, whose boxes are played in this process. Sockets are as on a local one: files of their directory here. */
export class FakeHost implements Host {
  readonly arch = amd64
  readonly cores: number
  readonly images: Host['images']
  /** The boxes that there are. */
  readonly boxes = new Set<FakeBox>()
  /** What the boxes that were started are made of, in this order. */
  readonly specs: BoxSpec[] = []
  /** The names of volumes that were removed. */
  readonly removed: string[] = []
  /** How often leftovers were removed. */
  prunes = 0
  readonly #options: FakeHostOptions
  #started = 0

  constructor(options: FakeHostOptions) {
    this.#options = options
    this.cores = options.cores ?? 2
    const { image = { id: 'sha256:fake', labels: {}, sizeBytes: 0 } } = options
    this.images = { ...unplayed('images'), inspect: async () => image }
  }

  /** How many boxes were started so far. */
  get started(): number {
    return this.#started
  }

  async identity(): Promise<readonly string[]> {
    return ['fake']
  }

  async processor(): Promise<string> {
    return 'fake'
  }

  async registryAccess() {
    return this.#options.registryAccess ?? { mirrors: [], insecure: [], proxies: { from: 'the engine' } as const }
  }

  async network() {
    return { mtu: 1500, ipv6: false, ...this.#options.network }
  }

  async availableMib(): Promise<number | undefined> {
    return this.#options.availableMib?.()
  }

  async lock(): Promise<AsyncDisposable> {
    return { [Symbol.asyncDispose]: async () => {} }
  }

  async removeVolume(name: string): Promise<'removed'> {
    this.removed.push(name)
    return 'removed'
  }

  async prune() {
    this.prunes++
    return { removed: [], refused: [] }
  }

  async run(spec: BoxSpec, { signal }: { readonly signal: AbortSignal }): Promise<Box> {
    signal.throwIfAborted()
    // As an engine does not answer at once.
    await new Promise((resolve) => setImmediate(resolve))
    signal.throwIfAborted()
    this.#started++
    this.specs.push(spec)
    return this.#play(spec)
  }

  readonly builder = () => unplayed('builder') as never
  readonly ownBuilder = () => unplayed('ownBuilder') as never

  #play(spec: BoxSpec): Box {
    const sockets = spec.mounts?.find((mount) => mount.kind === 'sockets')
    const pathOf = (name: string) => join(sockets?.directory ?? '/dev/null', name)
    const stdout = new FakeLines()
    const stderr = new FakeLines()
    const end = new AbortController()
    const servers: Server[] = []
    const connections = new Set<Socket>()
    const address = loopback(this.#started)
    let tellExit: (exit: BoxExit) => void = () => {}
    const exited = new Promise<BoxExit>((resolve) => (tellExit = resolve))

    const exit = (exitCode: number) => {
      if (end.signal.aborted) return
      end.abort()
      this.boxes.delete(inside)
      for (const server of servers) server.close()
      for (const connection of connections) connection.destroy()
      stdout.end()
      stderr.end()
      // An engine tells of an end a little later than the connections that broke with it.
      setImmediate(() => tellExit({ exitCode, oomKilled: false }))
    }
    let playExec: Parameters<FakeBox['onExec']>[0] | undefined
    const inside: FakeBox = {
      spec,
      ended: end.signal,
      print: (line) => stdout.print(line),
      complain: (line) => stderr.print(line),
      listen: (where, onConnection) => {
        if (end.signal.aborted) return
        const server = createServer({ allowHalfOpen: true }, (connection) => {
          connections.add(connection)
          connection.on('error', () => {})
          connection.once('close', () => connections.delete(connection))
          onConnection(connection)
        })
        // The directory may be gone by now.
        server.on('error', () => {})
        server.listen(typeof where === 'string' ? { path: pathOf(where) } : { host: address, port: where })
        servers.push(server)
      },
      onExec: (play) => {
        playExec = play
      },
      exit,
      fallSilent: () => {
        for (const connection of connections) connection.removeAllListeners('data').pause()
      },
    }
    this.boxes.add(inside)
    try {
      this.#options.program(inside)
    } catch (thrown) {
      exit(1)
      throw thrown
    }
    const stop = async () => {
      exit(137)
      return await exited
    }
    return {
      stdout,
      stderr,
      exited,
      address,
      ipv6Address: undefined,
      dials: 'sockets',
      endpoint: spec.joins && {
        address: `198.51.100.${this.#started}`,
        prefixLength: 24,
        macAddress: `02:42:c6:33:64:${this.#started.toString(16).padStart(2, '0')}`,
      },
      send: async () => {
        throw new TypeError('the fake host plays no input')
      },
      dial: (name, signal): Promise<Duplex> => dialWhenThere(() => dialSocket(pathOf(name), signal), signal),
      exec: async (argv, signal) => {
        signal.throwIfAborted()
        if (playExec === undefined) throw new TypeError(`the fake host plays no ${argv[0]}`)
        const [outside, program] = duplexPair()
        end.signal.addEventListener('abort', () => program.destroy())
        playExec(argv, program)
        return outside
      },
      stop,
      [Symbol.asyncDispose]: async () => void (await stop()),
    }
  }
}

/** Boxes have the same ports at addresses of their own. */
function loopback(box: number): string {
  return `127.${(process.pid >> 8) & 0xff}.${process.pid & 0xff}.${1 + (box % 254)}`
}

/** A part of a host that a test did not mean to use. */
function unplayed(what: string) {
  const fail = () => {
    throw new TypeError(`the fake host plays no ${what}`)
  }
  return { pull: fail, push: fail, tag: fail, remove: fail, load: fail, save: fail, import: fail, labelsOfAll: fail }
}

/** Lines that a test prints. */
class FakeLines implements Lines {
  readonly kept: string[] = []
  #ended = false
  #waiting: (() => void)[] = []

  print(line: string): void {
    this.kept.push(line)
    this.#wake()
  }

  end(): void {
    this.#ended = true
    this.#wake()
  }

  tail(lines = 20): string {
    return this.kept.slice(-lines).join('\n')
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<string, void> {
    for (let next = 0; ; ) {
      for (; next < this.kept.length; next++) yield this.kept[next] ?? ''
      if (this.#ended) return
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }
}
