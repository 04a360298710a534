import { randomBytes } from 'node:crypto'
import { reasonOf } from '../../errors/index.ts'
import type { Box } from '../../host/index.ts'
import { Disposals, orAborted } from '../../lifetime/index.ts'
import { handOver, imagePaths, type QmpCommands, quit, resume, saveState } from '../../qemu/index.ts'
import { holdVolume, saveCopyInto, saved, type TemplateLocation, TemplateNotMadeError } from '../../template/index.ts'
import { Attempt } from '../boot/attempt.ts'
import type { BootedVm } from '../boot/booted-vm.ts'
import { bootDeadline } from '../boot/deadlines.ts'
import { startGuest } from '../boot/guest.ts'
import type { VmPlan } from '../plan.ts'
import type { Start } from '../start.ts'

/** Where the source's run directory is in the container that takes its state. */
const MEETING_DIRECTORY = '/run/testkernels-source'
const DIRECTORY = 'checkpoint'

export interface TakenCheckpoint {
  readonly location: TemplateLocation
  /** Has its volume, between forks as well, and must be stopped before that is removed. When this process is killed it ends by itself. */
  readonly holder: Box
}

/**
 * Saves the state of a running VM into a volume of its own, which belongs to this run. The VM goes on; it stands still while its
 * RAM and disk are copied into a second QEMU, which then is the template. (A clone's own RAM is no file that could be kept.)
 * It may take as long as a boot.
 * @throws TemplateNotMadeError; what the VM died of
 */
export async function takeCheckpoint(vm: BootedVm, plan: VmPlan, start: Start): Promise<TakenCheckpoint> {
  const { session, entry, image } = plan
  const id = randomBytes(4).toString('hex')
  const location = { volume: `testkernels-checkpoint-${id}`, keptFor: 'run', directory: DIRECTORY } as const
  using deadline = bootDeadline(entry, start)
  await using failed = new Disposals()
  // The boxes that have it go first.
  failed.defer('volume', () => session.host.removeVolume(location.volume))
  try {
    const { signal } = deadline
    const context = { host: session.host, image, entry: entry.name, log: start.log, signal }
    const holder = failed.use('box', await holdVolume(location, context))
    await copyOnce(location, vm, { plan, start: { ...start, signal } })
    failed.move()
    return { location, holder }
  } catch (thrown) {
    start.signal.throwIfAborted()
    throw new TemplateNotMadeError({
      what: 'no checkpoint could be made of the VM',
      entry: entry.name,
      cause: reasonOf(thrown).split('\n', 1)[0],
      remedy: "see whether the engine's disk is full",
    })
  }
}

async function copyOnce(
  location: TemplateLocation,
  vm: BootedVm,
  { plan, start }: Pick<Attempt, 'plan' | 'start'>,
): Promise<void> {
  // The two QEMUs meet in the source's directory, which is its user's.
  await using attempt = await Attempt.open(plan, start, vm.runDirectory.owner)
  try {
    await copyInto(location, vm, attempt)
    attempt.forgetConsole()
  } catch (thrown) {
    throw attempt.failure(thrown)
  }
}

async function copyInto(location: TemplateLocation, vm: BootedVm, attempt: Attempt): Promise<void> {
  const { start } = attempt
  const save = saveCopyInto(location)
  const meeting = { kind: 'sockets', directory: vm.runDirectory.path, target: MEETING_DIRECTORY } as const
  const use = { ...save, mounts: [...save.mounts, meeting] }
  const taker = await startGuest(attempt, { use, signal: start.signal })
  const target = taker.monitor.until(taker.signal)
  await takeOver(vm, target, attempt)
  await saveState(target, use.stateFile)
  taker.expectEnd()
  await quit(target)
  await saved(taker.box, start.signal)
}

/** Whatever comes of it, the source goes on. */
async function takeOver({ guest }: BootedVm, target: QmpCommands, attempt: Attempt): Promise<void> {
  const { signal } = attempt.start
  const meeting = { source: imagePaths.runDirectory, target: MEETING_DIRECTORY }
  try {
    await handOver(guest.monitor.until(signal), target, meeting)
  } finally {
    // It is told to also when this was called off: then nobody waits for the answer.
    await orAborted(resume(guest.monitor), signal)
    await guest.control.setClock(signal)
  }
}
