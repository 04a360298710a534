import { constants } from 'node:os'
import type { Duplex } from 'node:stream'

/** What a box is started with. It runs one program and has nothing that is not named here. */
export interface BoxSpec {
  readonly image: string
  /** @default the image's */
  readonly entrypoint?: readonly string[]
  /** @default the image's */
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly mounts?: readonly Mount[]
  /** Devices of the host, such as `/dev/net/tun`, at the same path inside. */
  readonly devices?: readonly string[]
  /** The only capabilities the box has, such as `NET_ADMIN`. @default none */
  readonly capabilities?: readonly string[]
  /** `reachable`: it has an address, and reaches what its host reaches. @default 'none' */
  readonly network?: 'none' | 'reachable'
  /**
   * A network of boxes that it is on as well, at a second interface, until it is stopped: the first box makes it, and the last takes it away.
   * @default none
   */
  readonly joins?: BoxNetwork | undefined
  /** Settings of the kernel for its network, such as `net.ipv6.conf.all.forwarding`. @default the host's */
  readonly sysctls?: Readonly<Record<string, string>>
  /** Most processes and threads at a time. @default 64, a shell and what it pipes */
  readonly maxProcesses?: number
  /** Most memory that the host gives it, in MiB; what is read from files counts only as long as nobody else needs it. @default no limit */
  readonly memoryMib?: number
  /** The kernel entry it is for, named in errors. */
  readonly entry: string
}

/** A network on which boxes reach each other by name, whosoever they are. */
export interface BoxNetwork {
  /** Such as `testkernels-cluster`. */
  readonly network: string
  /** Of this box; no other on the network has it. */
  readonly name: string
}

/** Where a box is on the network that it joined. */
export interface BoxEndpoint {
  /** Of IPv4. */
  readonly address: string
  /** Bits of the address that all on the network have in common. */
  readonly prefixLength: number
  /** Such as `02:42:ac:12:00:02`. */
  readonly macAddress: string
}

export type Mount = VolumeMount | ScratchMount | SocketsMount

export interface VolumeMount extends VolumeName {
  readonly kind: 'volume'
  readonly target: string
  readonly access: 'read-only' | 'read-write'
}

/** Space on the host's disk that goes with the box. It has the mode of the image's directory there. */
export interface ScratchMount {
  readonly kind: 'scratch'
  readonly target: string
}

/** A directory that the host keeps. It is made when it is first mounted. */
export interface VolumeName {
  readonly volume: string
  /**
   * `run`: it is its run's as long as a box has it; then whoever starts or prunes next removes it. `cache`: later runs use it as well.
   */
  readonly keptFor: 'run' | 'cache'
}

/**
 * Sockets of a box that can be dialled from here, in a directory of their own. Where the host is this machine, it is the directory
 * here; elsewhere it is the host's.
 */
export interface SocketsMount {
  readonly kind: 'sockets'
  /** Absolute path of the directory on this machine, which names it on every host. */
  readonly directory: string
  readonly target: string
  /** Who makes the sockets and may dial them. @default this process's user */
  readonly owner?: UserIds
}

/** A user, as a kernel knows one. */
export interface UserIds {
  readonly uid: number
  readonly gid: number
}

/** Who runs this process; root on systems without users. */
export function thisUser(): UserIds {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
}

/** How the program of a box ended. */
export interface BoxExit {
  /** `undefined` when the host went away without telling. */
  readonly exitCode: number | undefined
  /** Whether the kernel killed a process of the box for want of memory. */
  readonly oomKilled: boolean
}

/** The signal that the program of a box ended by; undefined where it ended by itself, or nobody knows. */
export function signalOf({ exitCode }: BoxExit): NodeJS.Signals | undefined {
  // As a shell has it.
  const [signal] = Object.entries(constants.signals).find(([, number]) => 128 + number === exitCode) ?? []
  return signal as NodeJS.Signals | undefined
}

/** Lines of output. Always drained, and the newest are kept; each reader gets the kept ones first, then those to come. */
export interface Lines extends AsyncIterable<string> {
  /** The newest lines, oldest first. */
  readonly kept: readonly string[]
  /** The last `lines` of them as one text. */
  tail(lines?: number): string
}

/** Where each connection into a box costs a program: so many there may be, and so many begin at a time. */
export interface DialOptions {
  /** Whether it waits while there are as many as there may be. What shows that the VM lives does not: a box full of connections is no dead one. @default 'waits' */
  readonly turn?: 'waits' | 'first' | undefined
  /** Called while it waits, when one that it waits for has begun or ended: it will have its turn. */
  readonly onAdvance?: (() => void) | undefined
}

/** A program that runs on a host, and ends when this process does, however that ends. */
export interface Box extends AsyncDisposable {
  readonly stdout: Lines
  readonly stderr: Lines
  /** Resolves when the program has ended, for whatever reason, and its output is complete. Never rejects. */
  readonly exited: Promise<BoxExit>
  /** Where its ports are reached from this machine; undefined where they are not, and streams into the box are the only way. */
  readonly address: string | undefined
  /** The same over IPv6; undefined where its host has none for it, either. */
  readonly ipv6Address: string | undefined
  /** What the network that it joined has for it; undefined where it joined none. */
  readonly endpoint: BoxEndpoint | undefined
  /** What `dial` makes of a connection: one to a socket of this machine, or a program in the box, which its host has to start. */
  readonly dials: 'sockets' | 'programs'
  /**
   * Connects to a socket of its `sockets` mount; waits for it until `signal` aborts. Each direction of the stream ends by itself, where the
   * host is this machine.
   * @throws the signal's reason
   */
  dial(socket: string, signal: AbortSignal, options?: DialOptions): Promise<Duplex>
  /**
   * Runs one more program in the box, as the user of its `sockets`: what is written is its standard input, what it prints is read, from
   * when it has said that it is there, with a line `ok`. It has to end with its input, which ends with the stream.
   * @throws what it said instead; the signal's reason
   */
  exec(argv: readonly string[], signal: AbortSignal): Promise<Duplex>
  /**
   * Writes to the program's standard input, no faster than it is read. That stays open, because its end ends the program.
   * @throws Error when the program ends meanwhile
   */
  send(chunks: AsyncIterable<Uint8Array>): Promise<void>
  /** Ends the program, and resolves when nothing of the box is left; memoised. */
  stop(): Promise<BoxExit>
}
