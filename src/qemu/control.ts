import { EventEmitter, once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Duplex } from 'node:stream'
import { orAborted } from '../lifetime/index.ts'
import type { Logger } from '../log/index.ts'
import {
  doorLines,
  type GuestCredentials,
  type GuestIdentity,
  type GuestMessage,
  identityLines,
  parseGuestMessage,
  refreshLines,
} from './control-messages.ts'

/** A clock that is known to within this is right. */
const CLOCK_UNCERTAINTY_MS = 20
const CLOCK_READINGS = 10

/** A step of the guest's boot. */
export interface Phase {
  readonly name: string
  /** Uptime of the guest when it was reached, in seconds. */
  readonly uptimeS: number
}

interface ControlEvents {
  message: [GuestMessage]
  closed: []
}

/** A part of a disk, in bytes. */
export interface DiskRange {
  readonly offset: number
  readonly length: number
}

/** The host's end of the control port. */
export interface ControlConnection {
  /** What the guest reported until now, in order. */
  readonly phases: readonly Phase[]
  /** The guest's account of why its command ended, once it did. */
  readonly ended: string | undefined
  /** The tail of the command's log, once the guest sent it. */
  readonly commandLog: string | undefined
  /** Resolves when the guest reports the phase; at once if it did. @throws the signal's reason when that aborts first */
  phase(name: string, signal: AbortSignal): Promise<Phase>
  /** Gives the guest random numbers and a secret, by which it lets its owner in. That he gets in is the answer. */
  openDoor(credentials: GuestCredentials): void
  /**
   * Pushes hostname, machine-id and a clock that is right to within the way; resolves when the guest applied them. SSH's keys, which it
   * pushes as well, may come a moment later.
   */
  pushIdentity(identity: GuestIdentity, signal: AbortSignal): Promise<void>
  /**
   * Sets the guest's clock to within 20 ms; on a machine so busy that no answer comes in twice that time, to within half the time of
   * the fastest of ten answers.
   */
  setClock(signal: AbortSignal): Promise<void>
  /** Gives a guest that was stopped random numbers of now; resolves when it has them. */
  refresh(entropy: Uint8Array, signal: AbortSignal): Promise<void>
  /** Resolves when the guest's CPUs were at rest for a second, or after 20 seconds without. */
  settle(signal: AbortSignal): Promise<void>
  /** Has the guest drop its secret and keys, and end all connections of the door and of SSH; resolves when it did. */
  forgetKeys(signal: AbortSignal): Promise<void>
  /**
   * Has the guest's dockerd load the archive of images at a place of the fourth disk.
   * @param onProgress is told how much dockerd has read, in bytes, every 16 MiB
   * @returns the end of dockerd's answer, as HTTP has it
   */
  loadImages(place: DiskRange, onProgress: (bytes: number) => void, signal: AbortSignal): Promise<string>
  /** Has the guest let go of that disk; resolves when it did. */
  ejectDisk(signal: AbortSignal): Promise<void>
  close(): void
}

/** @param socket the port's other end, which QEMU makes a socket of */
export function connectControl(socket: Duplex, log: Logger): ControlConnection {
  const events = new EventEmitter<ControlEvents>()
  events.setMaxListeners(0)
  const phases: Phase[] = []
  let ended: string | undefined
  let commandLog: string | undefined
  let commits = 0
  let questions = 0

  const lines = createInterface({ input: socket })
  // The VM's container is what ends a wait; a lost control port by itself is no event. readline passes the socket's on.
  socket.on('error', () => {})
  lines.on('error', () => {})
  lines.on('line', (line) => {
    const message = parseGuestMessage(line)
    if (message === undefined) return
    if ('phase' in message) phases.push({ name: message.phase, uptimeS: message.uptime })
    if ('ended' in message) ended = message.ended
    if ('sshd' in message) log.debug(`the guest's sshd says: ${message.sshd.trim()}`)
    if ('warning' in message) log.warn(`the guest says: ${message.warning}`)
    if ('log' in message) commandLog = message.log
    events.emit('message', message)
  })

  async function until<T>(find: () => T | undefined, signal: AbortSignal): Promise<T> {
    for (;;) {
      signal.throwIfAborted()
      const found = find()
      if (found !== undefined) return found
      await once(events, 'message', { signal }).catch((thrown) => {
        throw signal.aborted ? signal.reason : thrown
      })
    }
  }

  /** Sends, and waits for what only an answer to this can be. */
  async function ask(lines: string, isAnswer: (message: GuestMessage) => boolean, signal: AbortSignal): Promise<void> {
    let listen: (message: GuestMessage) => void = () => {}
    const answered = new Promise<void>((resolve) => {
      listen = (message) => isAnswer(message) && resolve()
      events.on('message', listen)
    })
    try {
      socket.write(lines)
      await orAborted(answered, signal)
    } finally {
      events.off('message', listen)
    }
  }

  async function readClock(signal: AbortSignal): Promise<ClockReading> {
    const question = String(++questions)
    const askedMs = unixTimeMs()
    let reading: ClockReading | undefined
    await ask(
      `time ${question}\n`,
      (message) => {
        const [number, seconds] = 'time' in message ? message.time.split(' ') : []
        if (number !== question) return false
        reading = { askedMs, answeredMs: unixTimeMs(), theirMs: Number(seconds) * 1000 }
        return true
      },
      signal,
    )
    return reading as ClockReading
  }

  return {
    phases,
    get ended() {
      return ended
    },
    get commandLog() {
      return commandLog
    },
    phase: (name, signal) => until(() => phases.find((phase) => phase.name === name), signal),
    openDoor(credentials) {
      socket.write(doorLines(credentials))
    },
    async pushIdentity(identity, signal) {
      const commit = String(++commits)
      const lines = identityLines(identity, commit, unixTimeMs())
      await ask(lines, (message) => 'committed' in message && message.committed === commit, signal)
    },
    async setClock(signal) {
      let best: ClockOffset | undefined
      for (let reading = 0; reading < CLOCK_READINGS; reading++) {
        const offset = offsetOf(await readClock(signal))
        if (best === undefined || offset.uncertaintyMs < best.uncertaintyMs) best = offset
        if (best.uncertaintyMs <= CLOCK_UNCERTAINTY_MS) break
      }
      if (best !== undefined) socket.write(`shift ${Math.round(-best.aheadMs * 1000)}\n`)
    },
    refresh: (entropy, signal) => ask(refreshLines(entropy), (message) => 'refreshed' in message, signal),
    settle: (signal) => ask('settle\n', (message) => 'settled' in message, signal),
    forgetKeys: (signal) => ask('forget\n', (message) => 'forgot' in message, signal),
    async loadImages({ offset, length }, onProgress, signal) {
      let answer = ''
      const isAnswer = (message: GuestMessage): boolean => {
        if ('loading' in message) onProgress(Number(message.loading))
        if ('loaded' in message) answer = message.loaded
        return 'loaded' in message
      }
      await ask(`load ${offset} ${length}\n`, isAnswer, signal)
      return answer
    },
    async ejectDisk(signal) {
      let why = ''
      const isAnswer = (message: GuestMessage): boolean => {
        if ('ejected' in message) why = message.ejected
        return 'ejected' in message
      }
      await ask('eject\n', isAnswer, signal)
      if (why !== '') log.warn(`the guest says: ${why}`)
    },
    close: () => socket.destroy(),
  }
}

/** Finer than Date.now(). */
function unixTimeMs(): number {
  return performance.timeOrigin + performance.now()
}

/** One answer to "what time is it there". */
interface ClockReading {
  /** When the question was sent and when the answer came, by our clock, in milliseconds since 1970. */
  readonly askedMs: number
  readonly answeredMs: number
  /** What the other clock said. */
  readonly theirMs: number
}

interface ClockOffset {
  /** How far the other clock is ahead of ours, in milliseconds. */
  readonly aheadMs: number
  /** It is that to within this. */
  readonly uncertaintyMs: number
}

/** The other clock was read at some time between question and answer, as in the network time protocol (RFC 5905). */
export function offsetOf({ askedMs, answeredMs, theirMs }: ClockReading): ClockOffset {
  return { aheadMs: theirMs - (askedMs + answeredMs) / 2, uncertaintyMs: (answeredMs - askedMs) / 2 }
}
