import { type Dockerd, ImageTransferError } from '../../host/index.ts'
import type { Preload } from '../../image/index.ts'
import { startDeadline } from '../../lifetime/index.ts'
import type { ControlConnection, DiskRange } from '../../qemu/index.ts'
import type { VmPlan } from '../plan.ts'
import type { Start } from '../start.ts'
import { sayProgress } from './progress.ts'

/** Longest time without news of a dockerd that loads an image: it unpacks layers of any size when it has read them. */
const STALL_TIMEOUT_MS = 900_000

interface Loading {
  readonly control: Pick<ControlConnection, 'loadImages' | 'ejectDisk'>
  /** Where on the disk each image is. */
  readonly places: readonly DiskRange[]
  /** Aborts when the start is called off or the guest dies. */
  readonly signal: AbortSignal
}

/** Has the guest's dockerd load the images of its disk, and the guest let go of that. @throws ImageTransferError */
export async function loadImages(
  { preloads, entry }: Pick<VmPlan, 'preloads' | 'entry'>,
  { control, places, signal }: Loading,
  { log }: Pick<Start, 'log'>,
): Promise<void> {
  for (const [at, { name }] of preloads.entries()) {
    const place = places[at] as DiskRange
    log.info(`loading the image ${name} into the guest`)
    const say = sayProgress(`loading the image ${name} into the guest`, { log, totalBytes: place.length })
    const failure = failureIn(await load(place, { control, signal, onProgress: say, what: name, entry: entry.name }))
    if (failure !== undefined) throw notLoaded(name, { entry: entry.name, cause: failure })
  }
  await control.ejectDisk(signal)
}

interface OneLoad extends Pick<Loading, 'control' | 'signal'> {
  readonly what: string
  readonly entry: string
  readonly onProgress: (bytes: number) => void
}

async function load(place: DiskRange, { control, signal, onProgress, what, entry }: OneLoad): Promise<string> {
  const cause = `no news of it for ${STALL_TIMEOUT_MS / 1000} s`
  const onPassed = () => notLoaded(what, { entry, cause })
  using stall = startDeadline({ ms: STALL_TIMEOUT_MS, signal, onPassed })
  const onNews = (bytes: number) => {
    stall.restart()
    onProgress(bytes)
  }
  return await control.loadImages(place, onNews, stall.signal)
}

function notLoaded(what: string, { entry, cause }: { entry: string; cause: string }): ImageTransferError {
  return new ImageTransferError({
    what: `the guest's dockerd did not load the image ${what}`,
    entry,
    cause,
    remedy:
      'see whether `docker load` takes the archive, and whether the guest has room for it (scratchMib, memoryMib)',
  })
}

/** dockerd says 200 long before it knows: a failure is a message as well. */
export function failureIn(answer: string): string | undefined {
  const [, error] = /"error":"((?:[^"\\]|\\.)*)"/.exec(answer) ?? []
  if (error !== undefined) return JSON.parse(`"${error}"`) as string
  if (/^HTTP\/1\.[01] 200 /.test(answer)) return undefined
  return answer.trim().split(/\r?\n/).at(-1) || 'it closed the connection'
}

/** Gives images the names that they are to have in the guest, where the engine has them under names of ours. */
export async function renameImages(preloads: readonly Preload[], { images }: Dockerd): Promise<void> {
  for (const { rename } of preloads) {
    if (rename === undefined) continue
    await images.tag(rename.from, rename.to)
    await images.remove(rename.from)
  }
}
