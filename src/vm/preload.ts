import { formatBytes } from '../buildkit/progress/index.ts'
import { type Box, type Dockerd, ImageTransferError } from '../host/index.ts'
import type { Preload } from '../image/index.ts'
import { startDeadline } from '../lifetime/index.ts'
import type { Logger } from '../log/index.ts'
import type { ControlConnection, DiskRange } from '../qemu/index.ts'
import type { VmPlan } from './plan.ts'
import type { Start } from './start.ts'

/**
 * Copies images into the box of a guest that is to load them, where they are a disk. QEMU starts after the last byte.
 * @returns where on the disk each is
 * @throws ImageTransferError; Error when the box ends meanwhile
 */
export async function sendImages(
  preloads: readonly Preload[],
  box: Pick<Box, 'send'>,
  { log, signal }: Pick<Start, 'log' | 'signal'>,
): Promise<readonly DiskRange[]> {
  const ranges: DiskRange[] = []
  async function* archives() {
    for (const preload of preloads) yield counted(preload, { log, signal })
  }
  await box.send(framesOf(archives(), (range) => ranges.push(range)))
  return ranges
}

async function* counted(preload: Preload, { log, signal }: Pick<Start, 'log' | 'signal'>): AsyncGenerator<Uint8Array> {
  const say = sayProgress(`copying the image ${preload.name} for the guest`, { log })
  let bytes = 0
  for await (const chunk of await preload.open(signal)) {
    signal.throwIfAborted()
    bytes += chunk.length
    say(bytes)
    yield chunk
  }
}

/** Sectors of a disk: what is on it begins and ends with a whole one. */
const SECTOR_BYTES = 512

/**
 * Archives one behind the other as images/runner/receive.c reads them: pieces with their length in front, because nobody knows how long
 * an archive is before it ends, and a piece of length 0 at the end.
 * @param archives each as chunks
 * @param written is called with the range of each archive, in bytes, when it is complete
 */
export async function* framesOf(
  archives: AsyncIterable<AsyncIterable<Uint8Array>>,
  written: (range: DiskRange) => void,
): AsyncGenerator<Uint8Array> {
  let offset = 0
  for await (const archive of archives) {
    let length = 0
    for await (const chunk of archive) {
      if (chunk.length === 0) continue
      yield header(chunk.length)
      yield chunk
      length += chunk.length
    }
    const padding = -length & (SECTOR_BYTES - 1)
    if (padding > 0) {
      yield header(padding)
      yield new Uint8Array(padding)
    }
    written({ offset, length })
    offset += length + padding
  }
  yield header(0)
}

function header(length: number): Uint8Array {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(length)
  return bytes
}

/** Longest time without news of a dockerd that loads an image: it unpacks layers of any size when it has read them. */
const STALL_TIMEOUT_MS = 900_000

interface Loading {
  readonly control: Pick<ControlConnection, 'loadImages' | 'ejectDisk'>
  /** Where on the disk each image is. */
  readonly ranges: readonly DiskRange[]
  /** Aborts when the start is called off or the guest dies. */
  readonly signal: AbortSignal
}

/** Has the guest's dockerd load the images of its disk, and the guest let go of that. @throws ImageTransferError */
export async function loadImages(
  { preloads, entry }: Pick<VmPlan, 'preloads' | 'entry'>,
  { control, ranges, signal }: Loading,
  { log }: Pick<Start, 'log'>,
): Promise<void> {
  for (const [at, { name }] of preloads.entries()) {
    const range = ranges[at] as DiskRange
    log.info(`loading the image ${name} into the guest`)
    const say = sayProgress(`loading the image ${name} into the guest`, { log, totalBytes: range.length })
    const failure = failureIn(await load(range, { control, signal, onProgress: say, what: name, entry: entry.name }))
    if (failure !== undefined) throw notLoaded(name, { entry: entry.name, cause: failure })
  }
  await control.ejectDisk(signal)
}

interface OneLoad extends Pick<Loading, 'control' | 'signal'> {
  readonly what: string
  readonly entry: string
  readonly onProgress: (bytes: number) => void
}

async function load(range: DiskRange, { control, signal, onProgress, what, entry }: OneLoad): Promise<string> {
  const cause = `no news of it for ${STALL_TIMEOUT_MS / 1000} s`
  const onPassed = () => notLoaded(what, { entry, cause })
  using stall = startDeadline({ ms: STALL_TIMEOUT_MS, signal, onPassed })
  const onNews = (bytes: number) => {
    stall.restart()
    onProgress(bytes)
  }
  return await control.loadImages(range, onNews, stall.signal)
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

/** Between two lines about one image. */
const INTERVAL_MS = 10_000

/** Says how far it is, every ten seconds: `copying the image postgres:17 for the guest: 128.00MB`. @returns takes bytes done */
export function sayProgress(what: string, { log, totalBytes }: { log: Logger; totalBytes?: number }) {
  let saidAt = performance.now()
  const total = totalBytes === undefined ? '' : ` of ${formatBytes(totalBytes)}`
  return (bytes: number): void => {
    const now = performance.now()
    if (now - saidAt < INTERVAL_MS) return
    saidAt = now
    log.info(`${what}: ${formatBytes(bytes)}${total}`)
  }
}
