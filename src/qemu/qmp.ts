import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import * as v from 'valibot'
import { reasonOf, TestkernelsError, visibleLine } from '../errors/index.ts'
import { orAborted } from '../lifetime/index.ts'
import { followLines, type Logger } from '../log/index.ts'

/** The longest answers that we ask for list a QEMU's devices. */
const LONGEST_MESSAGE = 1024 * 1024
/** So much of what is no message is quoted. */
const QUOTED_CHARACTERS = 200

/** QEMU refused a command of its monitor, went away while it did it, or speaks something else. */
export class QemuCommandError extends TestkernelsError {
  readonly code = 'QEMU_COMMAND_FAILED'
}

/** What can be asked of QEMU. */
export interface QmpCommands {
  /**
   * Runs one command and gives what it returned. Commands are answered in the order in which they were sent.
   * @throws QemuCommandError when QEMU refuses it or is gone; the signal's reason
   */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>
  /** Resolves at the first event, from now on, that `wanted` is true for. @throws as `execute` */
  event(wanted: (event: QmpEvent) => boolean): Promise<QmpEvent>
}

/** A session with QEMU's monitor, over the machine protocol. QEMU has one at a time. */
export interface QmpConnection extends QmpCommands {
  /** Aborts when the session is over: all that QEMU said has been heard. */
  readonly gone: AbortSignal
  /** Calls the listener at each event from now on; what it throws ends the session. */
  onEvent(listener: (event: QmpEvent) => void): void
  /** The same session for work that is called off by a signal: after it, nothing is sent any more. */
  until(signal: AbortSignal): QmpCommands
  close(): void
}

export interface QmpOptions {
  /** Ends every wait of this session. */
  readonly signal: AbortSignal
  readonly log: Logger
  /** Kernel entry that errors name. */
  readonly entry: string
}

interface QmpEvents {
  event: [QmpEvent]
}

interface Pending {
  resolve(returned: unknown): void
  reject(error: QemuCommandError): void
  readonly command: string
}

/** Begins a session on a connection to the monitor, and leaves its negotiation mode. */
export async function connectQmp(socket: Duplex, options: QmpOptions): Promise<QmpConnection> {
  const qmp = overSocket(socket, options)
  try {
    await qmp.execute('qmp_capabilities')
    return qmp
  } catch (thrown) {
    qmp.close()
    throw thrown
  }
}

function overSocket(socket: Duplex, { signal, log, entry }: QmpOptions): QmpConnection {
  const pending = new Map<number, Pending>()
  const events = new EventEmitter<QmpEvents>()
  const gone = new AbortController()
  let commands = 0
  let over = 'QEMU ended'

  const failure = (command: string, cause: string) =>
    new QemuCommandError({
      what: `QEMU did not do '${command}'`,
      entry,
      cause,
      remedy: 'start the VM again, with --debug or TESTKERNELS_DEBUG=1 if it stays so',
    })

  followLines(
    socket,
    { onLine: take, onFailure: (reason) => end(reasonOf(reason)), onEnd: () => end('QEMU ended') },
    { longest: LONGEST_MESSAGE, overlong: 'throw' },
  )

  function take(line: string): void {
    const message = parseQmpMessage(line)
    if ('event' in message) {
      log.debug(`qemu: ${visibleLine(message.event)} ${JSON.stringify(message.data ?? {})}`)
      events.emit('event', message)
    } else if ('error' in message)
      settle(message.id, ({ command, reject }) => reject(failure(command, message.error.desc)))
    else if ('return' in message) settle(message.id, ({ resolve }) => resolve(message.return))
  }

  /** The first reason counts: the connection closes after every other. */
  function end(why: string): void {
    if (gone.signal.aborted) return
    gone.abort(failure('wait for an event', why))
    for (const { command, reject } of pending.values()) reject(failure(command, why))
    pending.clear()
    over = why
  }

  function settle(id: number | undefined, how: (waiting: Pending) => void): void {
    const waiting = id === undefined ? undefined : pending.get(id)
    if (id === undefined || waiting === undefined) return
    pending.delete(id)
    how(waiting)
  }

  const commandsUntil = (calledOff: AbortSignal): QmpCommands => ({
    async execute(command, args) {
      calledOff.throwIfAborted()
      const id = ++commands
      const answer = new Promise<unknown>((resolve, reject) => {
        if (gone.signal.aborted) return reject(failure(command, over))
        pending.set(id, { resolve, reject, command })
        socket.write(`${JSON.stringify({ execute: command, ...(args && { arguments: args }), id })}\n`)
      })
      return await orAborted(answer, calledOff)
    },
    async event(wanted) {
      const ended = AbortSignal.any([calledOff, gone.signal])
      let listen: (event: QmpEvent) => void = () => {}
      // One listener for the whole wait: several events may come in one piece.
      const found = new Promise<QmpEvent>((resolve) => {
        listen = (event) => wanted(event) && resolve(event)
        events.on('event', listen)
      })
      try {
        return await orAborted(found, ended)
      } finally {
        events.off('event', listen)
      }
    },
  })
  return {
    ...commandsUntil(signal),
    gone: gone.signal,
    onEvent: (listener) => void events.on('event', listener),
    until: (calledOff) => commandsUntil(AbortSignal.any([signal, calledOff])),
    close: () => socket.destroy(),
  }
}

/** An event, as QEMU's machine protocol has it (docs/interop/qmp-spec): `{"event": "MIGRATION", "data": {...}}`. */
export interface QmpEvent {
  readonly event: string
  readonly data?: Readonly<Record<string, unknown>> | undefined
}

/** One line of the protocol. */
export type QmpMessage =
  | { readonly QMP: unknown }
  | QmpEvent
  | { readonly id?: number | undefined; readonly return: unknown }
  | { readonly id?: number | undefined; readonly error: { readonly class: string; readonly desc: string } }

const message = v.union([
  v.object({ QMP: v.unknown() }),
  v.object({ event: v.string(), data: v.optional(v.record(v.string(), v.unknown())) }),
  v.object({ id: v.optional(v.number()), error: v.object({ class: v.string(), desc: v.string() }) }),
  v.object({ id: v.optional(v.number()), return: v.unknown() }),
])

/** @throws Error for what is not QMP */
function parseQmpMessage(line: string): QmpMessage {
  try {
    return v.parse(message, JSON.parse(line))
  } catch (cause) {
    throw new Error(`its monitor said what is no QMP: ${visibleLine(line.slice(0, QUOTED_CHARACTERS))}`, { cause })
  }
}
