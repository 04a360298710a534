import { randomBytes } from 'node:crypto'
import { reasonOf } from '../../errors/index.ts'
import { Disposals } from '../../lifetime/index.ts'
import { handOver, imagePaths, type QmpConnection, quit, resume, saveState } from '../../qemu/index.ts'
import { saveCopyInto, saved, type TemplateLocation, TemplateNotMadeError } from '../../template/index.ts'
import { Attempt } from '../boot/attempt.ts'
import type { BootedVm } from '../boot/booted-vm.ts'
import { bootDeadline } from '../boot/deadlines.ts'
import { connectMonitor, startGuest } from '../boot/guest.ts'
import type { VmPlan } from '../plan.ts'
import type { Start } from '../start.ts'

/** Where the source's run directory is in the container that takes its state. */
const MEETING_DIRECTORY = '/run/testkernels-source'
const DIRECTORY = 'checkpoint'

/**
 * Saves the state of a running VM into a volume of its own, which belongs to this run. The VM goes on; it stands still while its
 * RAM and disk are copied into a second QEMU, which then is the template. (A clone's own RAM is no file that could be kept.)
 * It may take as long as a boot.
 * @throws TemplateNotMadeError; what the VM died of
 */
export async function takeCheckpoint(vm: BootedVm, plan: VmPlan, start: Start): Promise<TemplateLocation> {
  const { session, entry } = plan
  const id = randomBytes(4).toString('hex')
  const location = { volume: `testkernels-checkpoint-${id}`, keptFor: 'run', directory: DIRECTORY } as const
  using deadline = bootDeadline(entry, start)
  await using failed = new Disposals()
  // The container that has it goes first.
  failed.defer('volume', () => session.host.removeVolume(location.volume))
  try {
    await copyOnce(location, vm, { plan, start: { ...start, signal: deadline.signal } })
  } catch (thrown) {
    start.signal.throwIfAborted()
    throw new TemplateNotMadeError({
      what: 'no checkpoint could be made of the VM',
      entry: entry.name,
      cause: reasonOf(thrown).split('\n', 1)[0],
      remedy: "see whether the engine's disk is full",
    })
  }
  failed.move()
  return location
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
  const { start, resources } = attempt
  const save = saveCopyInto(location)
  const meeting = { kind: 'sockets', directory: vm.runDirectory.path, target: MEETING_DIRECTORY } as const
  const use = { ...save, mounts: [...save.mounts, meeting] }
  const taker = await startGuest(attempt, { use, signal: start.signal })
  const target = await connectMonitor(taker, attempt, taker.signal)
  resources.defer('monitor', target.close)
  await takeOver(vm, target, attempt)
  await saveState(target, use.stateFile)
  taker.expectEnd()
  await quit(target)
  await saved(taker.box, start.signal)
}

/** Whatever comes of it, the source goes on. */
async function takeOver({ guest }: BootedVm, target: QmpConnection, attempt: Attempt): Promise<void> {
  const { signal } = attempt.start
  const source = await connectMonitor(guest, attempt, signal)
  try {
    await handOver(source, target, { source: imagePaths.runDirectory, target: MEETING_DIRECTORY })
  } finally {
    await resume(source).finally(() => source.close())
    await guest.control.setClock(signal)
  }
}
