import { join } from 'node:path'
import type { Disposals } from '../lifetime/index.ts'
import { startDeadline } from '../lifetime/index.ts'
import type { KernelEntry } from '../options/index.ts'
import { type ControlConnection, connectControl, guestLink } from '../qemu/index.ts'
import type { BootOptions } from './boot-options.ts'
import type { ConsoleLog } from './console-log.ts'
import { startVmContainer } from './container.ts'
import { type DeathWatch, describeDeath, watchForDeath } from './death.ts'
import { NoSignOfLifeError } from './errors.ts'
import { CONTROL_SOCKET } from './run-directory.ts'

/** A guest that is up says its first word long before this, on the slowest machines seen; one that hangs never does. */
const FIRST_WORD_DEADLINE_MS = 90_000

export interface GuestStart extends BootOptions {
  readonly runDirectory: string
  readonly console: ConsoleLog
  /** Takes each thing that is started the moment it exists. */
  readonly starting: Disposals
}

/** A guest in user space. */
export interface Guest extends DeathWatch {
  readonly control: ControlConnection
  /** Address of the container. */
  readonly address: string
  /** Aborts when the start is called off or the guest dies. */
  readonly signal: AbortSignal
}

/** Starts the container and waits for the guest's first word. @throws NoSignOfLifeError */
export async function startGuest({ starting, console, runDirectory, ...options }: GuestStart): Promise<Guest> {
  const { timeline, entry } = options
  const container = starting.use(
    'container',
    await timeline.time('container', () => startVmContainer({ ...options, runDirectory })),
  )
  let control: ControlConnection | undefined
  // The console's last lines are the reason: they are read to their end before it is told.
  const ended = Promise.all([container.exited, record(container.stdout, console)])
  const { gone, expectEnd } = watchForDeath(
    ended.then(([exit]) => describeDeath({ exit, entry, console, control, stderr: container.stderr.tail(10) })),
  )
  const signal = AbortSignal.any([options.signal, gone])
  control = await connectControl(join(runDirectory, CONTROL_SOCKET), { signal, log: options.log })
  starting.defer('control port', control.close)
  await timeline.time('kernel and init', () => firstWord(control, { entry, console, signal }))
  return { control, gone, expectEnd, signal, address: container.ipAddress ?? guestLink.hostAddress }
}

async function record(lines: AsyncIterable<string>, console: ConsoleLog): Promise<void> {
  for await (const line of lines) console.add(line)
}

async function firstWord(
  control: ControlConnection,
  { entry, console, signal }: { entry: KernelEntry; console: ConsoleLog; signal: AbortSignal },
): Promise<void> {
  using deadline = startDeadline({
    ms: FIRST_WORD_DEADLINE_MS,
    signal,
    onPassed: () =>
      new NoSignOfLifeError({
        what: `the guest showed no sign of life in ${FIRST_WORD_DEADLINE_MS / 1000} s`,
        entry: entry.name,
        remedy: `read its console at ${console.path}`,
        output: console.tail(),
      }),
  })
  await control.phase('init', deadline.signal)
}
