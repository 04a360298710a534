import { EventEmitter, once } from 'node:events'
import type { Duplex } from 'node:stream'
import { visibleLine } from '../errors/index.ts'
import { orAborted } from '../lifetime/index.ts'
import { followLines, type Logger } from '../log/index.ts'
import { KernelLogPort } from './control-kernel-log.ts'
import {
  type ClockReading,
  type DiskRange,
  doorLines,
  type GuestCredentials,
  type GuestEnd,
  type GuestFile,
  type GuestIdentity,
  type GuestMessage,
  type GuestMisbehavedError,
  identityLines,
  LONGEST_GUEST_MESSAGE,
  measureClock,
  misbehaved,
  type Phase,
  parseGuestMessage,
  refreshLines,
  settingsLines,
  unixTimeMs,
} from './control-messages.ts'

/** A guest has six phases, and says some hundred lines in its life; what is lost of them when it is restored is one or two. */
const MOST_PHASES = 100
const MOST_LINES = 100_000
const [MOST_WARNINGS, MOST_NONSENSE_LINES] = [100, 100]

interface ControlEvents {
  message: [GuestMessage]
  closed: []
}

/** The host's end of the control port. */
export interface ControlConnection {
  /** What the guest reported until now, in order. */
  readonly phases: readonly Phase[]
  /** The guest's account of how its command ended, or the guest itself, once it did. */
  readonly ended: GuestEnd | undefined
  /** The tail of the command's log, once the guest sent it. */
  readonly commandLog: string | undefined
  readonly kernelLog: KernelLogPort
  /** Why the port was closed to a guest that says too much; the VM is to be ended. */
  readonly fault: GuestMisbehavedError | undefined
  /** Resolves when the guest reports the phase; at once if it did. @throws the signal's reason when that aborts first */
  phase(name: string, signal: AbortSignal): Promise<Phase>
  /** Gives a guest whose kernel was told `testkernels.settings` what it waits for before it starts its command. */
  configure(files: readonly GuestFile[]): void
  /** Gives the guest random numbers and a secret, by which it lets its owner in. That he gets in is the answer. */
  openDoor(credentials: GuestCredentials): void
  /**
   * Pushes hostname, machine-id and a clock that is right to within the way; resolves when the guest applied them. SSH's keys, which it
   * pushes as well, may come a moment later.
   */
  pushIdentity(identity: GuestIdentity, signal: AbortSignal): Promise<void>
  /** Has the guest, whose link on the network of VMs was down when it was told its address, tell the others of it. */
  announceAddress(): void
  /**
   * Sets the guest's clock to within 20 ms; on a machine so busy that no answer comes in twice that time, to within half the time of
   * the fastest of ten answers.
   */
  setClock(signal: AbortSignal): Promise<void>
  /** Resolves when the guest's agent answers. */
  ping(signal: AbortSignal): Promise<void>
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

export interface ControlOptions {
  readonly log: Logger
  /** Kernel entry that errors name. */
  readonly entry: string
  /** Called once, when `fault` is there. */
  readonly onFault: () => void
}

/**
 * Whoever is root in the guest can write to its end of the port. He may end his own VM by that, and nothing else.
 * @param socket the port's other end, which QEMU makes a socket of
 */
export function connectControl(socket: Duplex, { log, entry, onFault }: ControlOptions): ControlConnection {
  const events = new EventEmitter<ControlEvents>()
  events.setMaxListeners(0)
  const phases: Phase[] = []
  let ended: GuestEnd | undefined
  let commandLog: string | undefined
  let commits = 0
  let questions = 0
  let fault: GuestMisbehavedError | undefined
  const kernelLog = new KernelLogPort((line) => socket.writable && socket.write(line))
  const said = { lines: 0, warnings: 0, nonsense: 0 }

  followLines(
    socket,
    {
      onLine: take,
      onFailure(reason) {
        // The VM's box is what ends a wait: a port that is lost by itself is no event.
        if (reason === socket.errored) return
        fault = misbehaved(reason, entry)
        onFault()
      },
    },
    { longest: LONGEST_GUEST_MESSAGE, overlong: 'throw' },
  )

  function take(line: string): void {
    const message = parseGuestMessage(line)
    if (message !== undefined && 'kernel' in message) {
      // It has a bound of its own.
      kernelLog.take(message.kernel)
      return
    }
    if (++said.lines > MOST_LINES) throw new Error(`more than ${MOST_LINES} lines`)
    if (message === undefined) {
      if (++said.nonsense > MOST_NONSENSE_LINES)
        throw new Error(`more than ${MOST_NONSENSE_LINES} lines that are no messages`)
      return
    }
    if ('phase' in message) phases.push({ name: message.phase, uptimeS: message.uptime })
    if (phases.length > MOST_PHASES) throw new Error(`more than ${MOST_PHASES} phases of its boot`)
    if ('ended' in message) ended = { of: 'command', how: message.ended }
    if ('power' in message) ended = { of: 'guest', how: message.power }
    if ('sshd' in message) log.debug(`the guest's sshd says: ${visibleLine(message.sshd.trim())}`)
    if ('warning' in message) warn(message.warning)
    if ('log' in message) commandLog = message.log
    events.emit('message', message)
  }

  function warn(text: string): void {
    if (++said.warnings > MOST_WARNINGS) throw new Error(`more than ${MOST_WARNINGS} warnings`)
    log.warn(`the guest says: ${visibleLine(text)}`)
  }

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
    kernelLog,
    get ended() {
      return ended
    },
    get commandLog() {
      return commandLog
    },
    get fault() {
      return fault
    },
    phase: (name, signal) => until(() => phases.find((phase) => phase.name === name), signal),
    configure: (files) => void socket.write(settingsLines(files)),
    openDoor: (credentials) => void socket.write(doorLines(credentials)),
    async pushIdentity(identity, signal) {
      const commit = String(++commits)
      const lines = identityLines(identity, commit, unixTimeMs())
      await ask(lines, (message) => 'committed' in message && message.committed === commit, signal)
    },
    announceAddress: () => void socket.write('linked\n'),
    async setClock(signal) {
      const { aheadMs } = await measureClock(() => readClock(signal))
      socket.write(`shift ${Math.round(-aheadMs * 1000)}\n`)
    },
    ping: async (signal) => void (await readClock(signal)),
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
      if (why !== '') warn(why)
    },
    close() {
      kernelLog.close()
      socket.destroy()
    },
  }
}
