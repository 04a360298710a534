import type { TestkernelsError } from '../../errors/index.ts'
import type { Box, BoxExit } from '../../host/index.ts'
import { orAborted } from '../../lifetime/index.ts'
import { type ControlConnection, connectControl, type DiskRange } from '../../qemu/index.ts'
import { describeUnusable } from '../../template/index.ts'
import type { ConsoleLog } from '../death/console-log.ts'
import { describeDeath, watchForDeath } from '../death/death.ts'
import { CONTROL_SOCKET } from '../machine.ts'
import { preloading } from '../preload/lazy.ts'
import type { Attempt } from './attempt.ts'
import type { Guest } from './booted-vm.ts'
import { silenceDeadline } from './deadlines.ts'
import { type BoxUse, runVmBox } from './vm-box.ts'

/** Starts the box and connects to its guest, which boots, or is there to be restored. */
export async function startGuest(attempt: Attempt, use: BoxUse): Promise<Guest> {
  return await guestIn(await startBox(attempt, use), attempt, use)
}

export async function startBox(attempt: Attempt, use: BoxUse): Promise<Box> {
  using _step = attempt.start.timeline.step('container')
  return attempt.resources.use('box', await runVmBox(attempt, use))
}

/** Connects to the guest in a box. */
export async function guestIn(
  box: Box,
  attempt: Attempt,
  { use, signal: calledOff, deadline }: BoxUse,
): Promise<Guest> {
  const { plan, start, console, resources } = attempt
  const { timeline, log } = start
  const { entry } = plan
  let control: ControlConnection | undefined
  let restoring = use?.machine.start === 'stopped'
  const describe = (exit: BoxExit): TestkernelsError => {
    const { stderr } = box
    if (restoring) return describeUnusable(exit, { stderr, entry: entry.name })
    return describeDeath({ exit, entry, console, control, stderr: stderr.tail(10) })
  }
  // The console's last lines are the reason: they are read to their end before it is told.
  const ended = Promise.all([box.exited, record(box.stdout, console)])
  const { gone, expectEnd } = watchForDeath(ended.then(([exit]) => describe(exit)))
  const signal = AbortSignal.any([calledOff, gone])
  const images = restoring ? [] : await copyImages(box, attempt, { signal, deadline })
  control = connectControl(await timeline.time('qemu', () => box.dial(CONTROL_SOCKET, signal)), log)
  resources.defer('control port', control.close)
  const proven = () => {
    restoring = false
  }
  return { control, box, images, gone, expectEnd, signal, proven }
}

/** Takes as long as they are large, which is no fault of the boot. */
async function copyImages(
  box: Box,
  { plan, start }: Attempt,
  { signal, deadline }: Pick<BoxUse, 'signal' | 'deadline'>,
): Promise<readonly DiskRange[]> {
  if (plan.preloads.length === 0) return []
  using _pause = deadline?.pause()
  using _step = start.timeline.step('copy images')
  const { sendImages } = await preloading()
  return await orAborted(sendImages(plan.preloads, box, { log: start.log, signal }), signal)
}

async function record(lines: AsyncIterable<string>, console: ConsoleLog): Promise<void> {
  for await (const line of lines) console.add(line)
}

/** Waits until the guest's agent runs, and tells apart what was the kernel's time and what was init's. @throws NoSignOfLifeError */
export async function userSpace({ plan, start, console }: Attempt, { control, signal }: Guest): Promise<void> {
  const { timeline } = start
  const fromMs = timeline.nowMs
  using deadline = silenceDeadline(plan.entry, console, signal)
  // A kernel that says something lives, however slow its machine is.
  using _line = console.onLine(deadline.restart)
  const init = await control.phase('init', deadline.signal)
  const { uptimeS } = await control.phase('command', signal)
  // Both are told when the agent can speak; the guest's own clock knows when they were.
  const initMs = (uptimeS - init.uptimeS) * 1000
  const toMs = timeline.nowMs
  timeline.add({ name: 'kernel', fromMs, toMs: Math.max(fromMs, toMs - initMs) })
  timeline.add({ name: 'init', fromMs: Math.max(fromMs, toMs - initMs), toMs })
}
