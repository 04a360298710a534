import * as v from 'valibot'
import { TestkernelsError } from '../errors/index.ts'

/** One line from the guest's agent (images/guest/agent/control.c). */
export type GuestMessage =
  /** A step of the boot was reached, at this uptime of the guest in seconds. */
  | { readonly phase: string; readonly uptime: number }
  /** The identity was applied; the number is the one that was sent. */
  | { readonly committed: string }
  /** Clock and random pool are those of now. */
  | { readonly refreshed: string }
  /** The number of a question, and the guest's wall clock in seconds since 1970. */
  | { readonly time: string }
  /** The keys are no more, nor is the sshd that used them. */
  | { readonly forgot: string }
  /** `at rest`, or `never at rest`. */
  | { readonly settled: string }
  /** How much of an archive dockerd has read, in bytes. */
  | { readonly loading: string }
  /** The end of dockerd's answer to an archive: the head of its response, and the messages. */
  | { readonly loaded: string }
  /** The disk with archives is no more; else why it is. */
  | { readonly ejected: string }
  /** Lines of the kernel's log (control-kernel-log.ts). */
  | { readonly kernel: string }
  /** The last lines of the command's log. */
  | { readonly log: string }
  /** The guest's command is over (`status 1`, `signal 9`, `out of memory`), and so is the guest. */
  | { readonly ended: string }
  /** Somebody in the guest ended it: it was `rebooted`, `powered off` or `halted`. */
  | { readonly power: string }
  /** An SSH session ended with an error; the text is what all of them said. */
  | { readonly sshd: string }
  | { readonly warning: string }

/** A step of the guest's boot. */
export interface Phase {
  readonly name: string
  /** Uptime of the guest when it was reached, in seconds. */
  readonly uptimeS: number
}

/** How a guest ended: with its command, or because somebody in it wanted so. */
export interface GuestEnd {
  readonly of: 'command' | 'guest'
  /** As the message says it. */
  readonly how: string
}

/** Longer than any line of the agent (images/guest/agent/control.c), in characters. */
export const LONGEST_GUEST_MESSAGE = 64 * 1024

const amount = v.pipe(v.string(), v.regex(/^\d{1,15}$/))

const guestMessage = v.union([
  v.object({ phase: v.pipe(v.string(), v.maxLength(64)), uptime: v.pipe(v.number(), v.finite(), v.minValue(0)) }),
  v.object({ committed: v.string() }),
  v.object({ refreshed: v.string() }),
  // What becomes of it is sent back, as a number.
  v.object({ time: v.pipe(v.string(), v.regex(/^\d{1,15} \d{1,12}(\.\d{1,9})?$/)) }),
  v.object({ forgot: v.string() }),
  v.object({ settled: v.string() }),
  v.object({ loading: amount }),
  v.object({ loaded: v.string() }),
  v.object({ ejected: v.string() }),
  v.object({ kernel: v.string() }),
  v.object({ log: v.string() }),
  v.object({ ended: v.string() }),
  v.object({ power: v.picklist(['rebooted', 'powered off', 'halted']) }),
  v.object({ sshd: v.string() }),
  v.object({ warning: v.string() }),
])

/** @returns undefined for a line that is not a message: the start of a line that was lost before the host connected */
export function parseGuestMessage(line: string): GuestMessage | undefined {
  try {
    const parsed = v.safeParse(guestMessage, JSON.parse(line))
    return parsed.success ? parsed.output : undefined
  } catch {
    return undefined
  }
}

/** A proxy that asks for a user. The guest's agent is dockerd's proxy then, at `guestLink.relayPort`, and tells the real one who asks. */
export interface GuestProxy {
  /** What it is for: plain HTTP, or what is tunnelled through it. */
  readonly scheme: 'http' | 'https'
  readonly host: string
  readonly port: number
  /** For `Proxy-Authorization: Basic`. */
  readonly credentials: string
}

/** What a guest needs before its owner can come; new after a boot and after every restore. */
export interface GuestCredentials {
  /** What the owner says at the door: 64 hexadecimal digits. */
  readonly doorSecret: string
  /** Credited to the kernel's random pool; 32 bytes reseed it whole. */
  readonly entropy: Uint8Array
  /** Nothing saved has their passwords. @default none */
  readonly proxies?: readonly GuestProxy[]
}

/** What else makes a guest itself. */
export interface GuestIdentity {
  readonly hostname: string
  /** For /etc/machine-id: 32 hexadecimal digits. */
  readonly machineId: string
  /** The SSH host key in Dropbear's format. */
  readonly hostKey: Uint8Array
  /** A line of authorized_keys: the one key that may log in. */
  readonly authorizedKey: string
  /** Where it is on a network of VMs. @default on none */
  readonly endpoint?: GuestEndpoint | undefined
}

/** What a guest is to have at its second network device, eth1. */
export interface GuestEndpoint {
  /** Of IPv4. */
  readonly address: string
  /** Bits of the address that all on the network have in common. */
  readonly prefixLength: number
  /** Such as `02:42:ac:12:00:02`. */
  readonly macAddress: string
}

/** A part of a disk, in bytes. */
export interface DiskRange {
  readonly offset: number
  readonly length: number
}

/** A file that a guest is given before its command is started. */
export interface GuestFile {
  /** Absolute; directories above it are made. */
  readonly path: string
  readonly content: string
}

/** What the agent takes of a file at a time, in bytes: a line of two digits for each has room in its buffer. */
const PIECE_BYTES = 4096

/** The lines that give a guest its files, and have it start its command. */
export function settingsLines(files: readonly GuestFile[]): string {
  const lines = files.flatMap(({ path, content }) => {
    const bytes = Buffer.from(content)
    const pieces = Array.from({ length: Math.ceil(bytes.length / PIECE_BYTES) }, (_, at) =>
      bytes.subarray(at * PIECE_BYTES, (at + 1) * PIECE_BYTES),
    )
    const name = Buffer.from(path).toString('hex')
    return pieces.map((piece, at) => `${at === 0 ? 'file' : 'more'} ${name} ${piece.toString('hex')}\n`)
  })
  return `${lines.join('')}start\n`
}

/** The lines after which a guest lets its owner in. The entropy comes first: no random number may be drawn before. */
export function doorLines({ entropy, doorSecret, proxies = [] }: GuestCredentials): string {
  const told = proxies.map(({ scheme, host, port, credentials }) => `proxy ${scheme} ${host} ${port} ${credentials}\n`)
  return `entropy ${Buffer.from(entropy).toString('hex')}\ndoor ${doorSecret}\n${told.join('')}`
}

/** The lines that push an identity. `commit` comes back in the guest's `committed`, when all but SSH is its own. */
export function identityLines(identity: GuestIdentity, commit: string, unixTimeMs: number): string {
  const { hostname, machineId, hostKey, authorizedKey, endpoint } = identity
  return [
    // Right to within the way here; first, because what comes before it makes it later.
    clockLine(unixTimeMs),
    `hostname ${hostname}`,
    `machineid ${machineId}`,
    ...(endpoint === undefined ? [] : [`network ${endpoint.address} ${endpoint.prefixLength} ${endpoint.macAddress}`]),
    `commit ${commit}`,
    // Nobody waits for them: who comes over SSH before they are there is let in when they are.
    `hostkey ${Buffer.from(hostKey).toString('hex')}`,
    `authorize ${authorizedKey}`,
    'admit',
    '',
  ].join('\n')
}

/** The lines that a guest which was stopped, and has its keys, answers with `refreshed`. */
export function refreshLines(entropy: Uint8Array): string {
  return `entropy ${Buffer.from(entropy).toString('hex')}\nrefreshed\n`
}

function clockLine(unixTimeMs: number): string {
  const seconds = Math.floor(unixTimeMs / 1000)
  const nanoseconds = Math.round((unixTimeMs - seconds * 1000) * 1e6)
  return `clock ${seconds}.${String(nanoseconds).padStart(9, '0')}`
}

/** What came from a guest over its control port is more than, or other than, any guest of ours says. */
export class GuestMisbehavedError extends TestkernelsError {
  readonly code = 'GUEST_MISBEHAVED'
}

export function misbehaved(cause: unknown, entry: string): GuestMisbehavedError {
  return new GuestMisbehavedError({
    what: 'the guest said too much on its control port, and its VM was ended',
    entry,
    cause,
    remedy: 'find what writes to /dev/vport*p1 in the guest: a privileged container, or a test of that device',
  })
}

/** A clock that is known to within this is right. */
const CLOCK_UNCERTAINTY_MS = 20
const CLOCK_READINGS = 10

/** Finer than Date.now(). */
export function unixTimeMs(): number {
  return performance.timeOrigin + performance.now()
}

/** One answer to "what time is it there". */
export interface ClockReading {
  /** When the question was sent and when the answer came, by our clock, in milliseconds since 1970. */
  readonly askedMs: number
  readonly answeredMs: number
  /** What the other clock said. */
  readonly theirMs: number
}

export interface ClockOffset {
  /** How far the other clock is ahead of ours, in milliseconds. */
  readonly aheadMs: number
  /** It is that to within this. */
  readonly uncertaintyMs: number
}

/** The other clock was read at some time between question and answer, as in the network time protocol (RFC 5905). */
export function offsetOf({ askedMs, answeredMs, theirMs }: ClockReading): ClockOffset {
  return { aheadMs: theirMs - (askedMs + answeredMs) / 2, uncertaintyMs: (answeredMs - askedMs) / 2 }
}

/**
 * Asks until an answer is sharp enough, or two say the same: on a long way none is sharp, and each takes a round trip. Gives the sharpest of
 * at most ten.
 */
export async function measureClock(read: () => Promise<ClockReading>): Promise<ClockOffset> {
  let best = offsetOf(await read())
  for (let reading = 1; reading < CLOCK_READINGS && best.uncertaintyMs > CLOCK_UNCERTAINTY_MS; reading++) {
    const offset = offsetOf(await read())
    const agree = Math.abs(offset.aheadMs - best.aheadMs) <= CLOCK_UNCERTAINTY_MS
    if (offset.uncertaintyMs < best.uncertaintyMs) best = offset
    if (agree) break
  }
  return best
}
