import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import type { FakeBox } from '../../host/testing/fake-host.ts'
import { CONTROL_SOCKET, MONITOR_SOCKET } from '../guest-settings.ts'

export interface FakeQemuOptions {
  /** What the guest reported when its control port was opened: nothing, if it is to be restored. */
  readonly phases: readonly string[]
  /** Gets what the guest is told over its control port: a word, and the rest of the line. */
  readonly onControl: (word: string, rest: string) => void
  /** QEMU was told to end. */
  readonly onQuit: () => void
  /** Writes the guest's memory, and resolves to why it could not, if it could not. @default there is nobody to write it to */
  readonly onDump?: () => Promise<string | undefined>
  /** How many of its answers come, before it falls silent. @default all of them */
  readonly answers?: number
}

/** A QEMU that is played, and what a test may do with it. */
export interface FakeQemu {
  /** What its monitor was told, in this order: `cont`, or `set_link down`. */
  readonly commands: readonly string[]
  /** Says something on its monitor without being asked. */
  tell(event: { readonly event: string; readonly data?: object }): void
  /** Its guest runs no more, and its monitor has this for a reason. */
  stopGuest(status: string): void
}

interface Command {
  readonly execute: string
  readonly id: number
  readonly arguments?: { readonly up?: boolean }
}

/** QEMU's monitor, and the port to its guest's agent (images/guest/agent/control.c). */
export function playQemu(box: FakeBox, options: FakeQemuOptions): FakeQemu {
  const { phases, onControl, onQuit, onDump = async () => 'No such file or directory' } = options
  const monitors = new Set<Socket>()
  const commands: string[] = []
  let status = 'running'
  let left = options.answers ?? Number.POSITIVE_INFINITY
  const say = (socket: Socket, message: object) => {
    if (left-- > 0) socket.write(`${JSON.stringify(message)}\n`)
  }
  box.listen(CONTROL_SOCKET, (socket) => {
    for (const phase of phases) say(socket, { phase, uptime: 1 })
    each(socket, (line) => {
      const [word = '', ...rest] = line.split(' ')
      onControl(word, rest.join(' '))
      const answer = controlAnswer(word, rest.join(' '))
      if (answer !== undefined && status === 'running') say(socket, answer)
    })
  })
  box.listen(MONITOR_SOCKET, (socket) => {
    monitors.add(socket)
    say(socket, { QMP: {} })
    each(socket, (line) => {
      const { execute, id, arguments: given } = JSON.parse(line) as Command
      commands.push(execute === 'set_link' ? `${execute} ${given?.up ? 'up' : 'down'}` : execute)
      say(socket, { id, return: answerTo(execute, status) })
      for (const event of eventsOf(execute)) say(socket, event)
      if (execute === 'quit') onQuit()
      if (execute === 'dump-guest-memory')
        void onDump().then((error) =>
          say(socket, { event: 'DUMP_COMPLETED', data: error === undefined ? {} : { error } }),
        )
    })
  })
  const tell: FakeQemu['tell'] = (event) => {
    for (const socket of monitors) socket.write(`${JSON.stringify(event)}\n`)
  }
  return {
    commands,
    tell,
    stopGuest(why) {
      status = why
      tell({ event: 'STOP' })
    },
  }
}

function answerTo(command: string, status: string): unknown {
  if (command === 'query-status') return { status }
  return command === 'human-monitor-command' ? 'Waiting for gdb connection on device' : {}
}

function each(socket: Socket, take: (line: string) => void): void {
  const lines = createInterface({ input: socket })
  // The other end may go at any time.
  lines.on('error', () => {})
  lines.on('line', take)
}

function controlAnswer(word: string, rest: string): object | undefined {
  switch (word) {
    case 'commit':
      return { committed: rest }
    case 'time':
      return { time: `${rest} ${Date.now() / 1000}` }
    case 'refreshed':
      return { refreshed: '' }
    case 'start':
      return { phase: 'ready', uptime: 2 }
    case 'settle':
      return { settled: 'at rest' }
    case 'kernel-log':
      return rest.startsWith('ask ') ? { kernel: `${rest.slice(4)} 0 0 0 0\n` } : undefined
    case 'forget':
      return { forgot: '' }
    default:
      return undefined
  }
}

function eventsOf(command: string): readonly object[] {
  switch (command) {
    case 'migrate':
    case 'migrate-incoming':
      return [{ event: 'MIGRATION', data: { status: 'completed' } }]
    case 'drive-mirror':
      return [{ event: 'BLOCK_JOB_READY', data: {} }]
    case 'block-job-cancel':
      return [{ event: 'BLOCK_JOB_COMPLETED', data: {} }]
    default:
      return []
  }
}
