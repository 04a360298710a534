import { join } from 'node:path'
import type { ContainerExit } from '../../engine/index.ts'
import type { TestkernelsError } from '../../errors/index.ts'
import { type ControlConnection, connectControl, guestLink } from '../../qemu/index.ts'
import { describeUnusable } from '../../template/index.ts'
import type { ConsoleLog } from '../death/console-log.ts'
import { describeDeath, watchForDeath } from '../death/death.ts'
import { CONTROL_SOCKET, MONITOR_SOCKET } from '../machine.ts'
import type { Attempt } from './attempt.ts'
import type { Guest } from './booted-vm.ts'
import { type ContainerUse, startVmContainer } from './container.ts'
import { firstWordDeadline } from './deadlines.ts'

/** Starts the container and connects to its guest, which boots, or is there to be restored. */
export async function startGuest(attempt: Attempt, { use, signal: calledOff }: ContainerUse): Promise<Guest> {
  const { plan, start, runDirectory, console, resources } = attempt
  const { timeline, log } = start
  const { entry } = plan
  const container = resources.use(
    'container',
    await timeline.time('container', () => startVmContainer(attempt, { use, signal: calledOff })),
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
  const signal = AbortSignal.any([calledOff, gone])
  control = await timeline.time('qemu', () => connectControl(join(runDirectory, CONTROL_SOCKET), { signal, log }))
  resources.defer('control port', control.close)
  const proven = () => {
    restoring = false
  }
  const address = container.ipAddress ?? guestLink.hostAddress
  const monitorSocket = join(runDirectory, MONITOR_SOCKET)
  return { control, container, monitorSocket, gone, expectEnd, signal, address, proven }
}

async function record(lines: AsyncIterable<string>, console: ConsoleLog): Promise<void> {
  for await (const line of lines) console.add(line)
}

/** Waits until the guest's agent runs, and tells apart what was the kernel's time and what was init's. @throws NoSignOfLifeError */
export async function userSpace({ plan, start, console }: Attempt, { control, signal }: Guest): Promise<void> {
  const { timeline } = start
  const fromMs = timeline.nowMs
  using deadline = firstWordDeadline(plan.entry, console, signal)
  const init = await control.phase('init', deadline.signal)
  const { uptimeS } = await control.phase('command', signal)
  // Both are told when the agent can speak; the guest's own clock knows when they were.
  const initMs = (uptimeS - init.uptimeS) * 1000
  const toMs = timeline.nowMs
  timeline.add({ name: 'kernel', fromMs, toMs: Math.max(fromMs, toMs - initMs) })
  timeline.add({ name: 'init', fromMs: Math.max(fromMs, toMs - initMs), toMs })
}
