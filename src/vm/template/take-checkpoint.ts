import { randomBytes } from 'node:crypto'
import { removeVolume, runLabels } from '../../engine/index.ts'
import { reasonOf } from '../../errors/index.ts'
import { Disposals } from '../../lifetime/index.ts'
import { connectQmp, handOver, imagePaths, type QmpConnection, quit, resume, saveState } from '../../qemu/index.ts'
import { saveCopyInto, type TemplateLocation, TemplateNotMadeError } from '../../template/index.ts'
import type { BootedVm } from '../boot/boot-once.ts'
import type { BootOptions } from '../boot/boot-options.ts'
import { watchedGuest } from '../boot/guest.ts'
import { inPlace, type Place } from '../boot/place.ts'
import { sealed } from './make-template.ts'

/** Where the source's run directory is in the container that takes its state. */
const MEETING_DIRECTORY = '/run/testkernels-source'
const DIRECTORY = 'checkpoint'

/**
 * Saves the state of a running VM into a volume of its own, which belongs to this run. The VM goes on; it stands still while its
 * RAM and disk are copied into a second QEMU, which then is the template. (A clone's own RAM is no file that could be kept.)
 * @throws TemplateNotMadeError; what the VM died of
 */
export async function takeCheckpoint(vm: BootedVm, options: BootOptions): Promise<TemplateLocation> {
  const { host, entry } = options
  const id = randomBytes(4).toString('hex')
  const labels = runLabels(host.ownership, entry.name)
  const location = { volume: `testkernels-checkpoint-${id}`, labels, directory: DIRECTORY }
  await using failed = new Disposals()
  // The container that has it goes first.
  failed.defer('volume', () => removeVolume(host.engine, location.volume))
  try {
    await inPlace(options, (place) => copyInto(location, { vm, options, place }))
  } catch (thrown) {
    if (options.signal.aborted) throw options.signal.reason
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

interface Copying {
  readonly vm: BootedVm
  readonly options: BootOptions
  readonly place: Place
}

async function copyInto(location: TemplateLocation, { vm, options, place }: Copying): Promise<void> {
  const { log, entry } = options
  const use = saveCopyInto(location, 'new')
  const meeting = { kind: 'bind', source: vm.runDirectory, target: MEETING_DIRECTORY, access: 'read-write' } as const
  const taker = await watchedGuest(options, { ...use, mounts: [...use.mounts, meeting] }, place)
  const { signal } = taker
  const target = await connectQmp(taker.monitorSocket, { signal, log, entry: entry.name })
  place.starting.defer('monitor', target.close)
  await takeOver(vm, target, options)
  await saveState(target, use.stateFile)
  taker.expectEnd()
  await quit(target)
  await sealed(taker)
  place.forgetConsole()
}

/** Whatever comes of it, the source goes on. */
async function takeOver(
  { guest }: BootedVm,
  target: QmpConnection,
  { log, entry, signal }: BootOptions,
): Promise<void> {
  const source = await connectQmp(guest.monitorSocket, { signal, log, entry: entry.name })
  try {
    await handOver(source, target, { source: imagePaths.runDirectory, target: MEETING_DIRECTORY })
  } finally {
    await resume(source).finally(() => source.close())
    await guest.control.setClock(signal)
  }
}
