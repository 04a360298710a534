import { join } from 'node:path'
import type { ContainerExit, Lease } from '../../engine/index.ts'
import type { TestkernelsError } from '../../errors/index.ts'
import { startDeadline } from '../../lifetime/index.ts'
import type { KernelEntry } from '../../options/index.ts'
import {
  type ControlConnection,
  connectControl,
  connectQmp,
  guestLink,
  loadState,
  type Phase,
  resume,
} from '../../qemu/index.ts'
import { describeUnusable, restoreFrom, type TemplateUse } from '../../template/index.ts'
import type { ConsoleLog } from '../death/console-log.ts'
import { type DeathWatch, describeDeath, watchForDeath } from '../death/death.ts'
import { NoSignOfLifeError } from '../errors.ts'
import type { Beginning, BootOptions } from './boot-options.ts'
import { startVmContainer } from './container.ts'
import type { Place } from './place.ts'
import { CONTROL_SOCKET, MONITOR_SOCKET } from './run-directory.ts'

/** A guest that is up says its first word long before this, on the slowest machines seen; one that hangs never does. */
const FIRST_WORD_DEADLINE_MS = 90_000

/** A guest in user space. */
export interface Guest extends DeathWatch {
  readonly control: ControlConnection
  readonly container: Lease
  /** Socket of QEMU's monitor on this machine. */
  readonly monitorSocket: string
  /** Address of the container. */
  readonly address: string
  /** Aborts when the start is called off or the guest dies. */
  readonly signal: AbortSignal
  /** A restored guest did what it was asked: from now on its end is a death, and no fault of the template. */
  proven(): void
}

/** @throws NoSignOfLifeError; TemplateUnusableError */
export async function startGuest(options: BootOptions, beginning: Beginning, place: Place): Promise<Guest> {
  if (beginning.kind === 'restore') return await restoreGuest(options, restoreFrom(beginning.template), place)
  const guest = await watchedGuest(options, undefined, place)
  await userSpace(guest, options, place.console)
  return guest
}

/** Starts the container and connects to its guest, which boots, or is there to be restored. */
export async function watchedGuest(
  options: BootOptions,
  use: TemplateUse | undefined,
  { runDirectory, console, starting }: Place,
): Promise<Guest> {
  const { timeline, entry, log } = options
  const container = starting.use(
    'container',
    await timeline.time('container', () => startVmContainer({ ...options, runDirectory, use })),
  )
  let control: ControlConnection | undefined
  let restoring = use?.machine.start === 'stopped'
  const describe = (exit: ContainerExit): TestkernelsError => {
    const { stderr } = container
    if (restoring) return describeUnusable(exit, { stderr, entry: entry.name })
    return describeDeath({ exit, entry, console, control, stderr: stderr.tail(10) })
  }
  // The console's last lines are the reason: they are read to their end before it is told.
  const ended = Promise.all([container.exited, record(container.stdout, console)])
  const { gone, expectEnd } = watchForDeath(ended.then(([exit]) => describe(exit)))
  const signal = AbortSignal.any([options.signal, gone])
  control = await timeline.time('qemu', () => connectControl(join(runDirectory, CONTROL_SOCKET), { signal, log }))
  starting.defer('control port', control.close)
  const proven = () => {
    restoring = false
  }
  const address = container.ipAddress ?? guestLink.hostAddress
  const monitorSocket = join(runDirectory, MONITOR_SOCKET)
  return { control, container, monitorSocket, gone, expectEnd, signal, address, proven }
}

async function restoreGuest(options: BootOptions, use: TemplateUse, place: Place): Promise<Guest> {
  const { timeline, entry, log } = options
  const guest = await watchedGuest(options, use, place)
  await timeline.time('restore', async () => {
    const qmp = await connectQmp(guest.monitorSocket, { signal: guest.signal, log, entry: entry.name })
    try {
      await loadState(qmp, use.stateFile)
      await resume(qmp)
    } catch (thrown) {
      throw await rather(thrown, guest)
    } finally {
      qmp.close()
    }
  })
  return guest
}

/** A QEMU that cannot load a state says why and ends; its monitor is closed a little before we hear of that. */
async function rather(thrown: unknown, { container, signal }: Guest): Promise<unknown> {
  if (signal.aborted) return signal.reason
  await container.stop()
  return await new Promise((resolve) => {
    if (signal.aborted) return resolve(signal.reason)
    signal.addEventListener('abort', () => resolve(signal.reason ?? thrown), { once: true })
  })
}

async function record(lines: AsyncIterable<string>, console: ConsoleLog): Promise<void> {
  for await (const line of lines) console.add(line)
}

/** Waits until the guest's agent runs, and tells apart what was the kernel's time and what was init's. @throws NoSignOfLifeError */
export async function userSpace(
  { control, signal }: Pick<Guest, 'control' | 'signal'>,
  { entry, timeline }: Pick<BootOptions, 'entry' | 'timeline'>,
  console: ConsoleLog,
): Promise<void> {
  const fromMs = timeline.nowMs
  const init = await firstWord(control, { entry, console, signal })
  const { uptimeS } = await control.phase('command', signal)
  // Both are told when the agent can speak; the guest's own clock knows when they were.
  const initMs = (uptimeS - init.uptimeS) * 1000
  const toMs = timeline.nowMs
  timeline.add({ name: 'kernel', fromMs, toMs: Math.max(fromMs, toMs - initMs) })
  timeline.add({ name: 'init', fromMs: Math.max(fromMs, toMs - initMs), toMs })
}

async function firstWord(
  control: ControlConnection,
  {
    entry,
    console,
    signal,
  }: { readonly entry: KernelEntry; readonly console: ConsoleLog; readonly signal: AbortSignal },
): Promise<Phase> {
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
  return await control.phase('init', deadline.signal)
}
