import type { Box } from '../../host/index.ts'
import type { Preload } from '../../image/index.ts'
import type { DiskRange } from '../../qemu/index.ts'
import type { Start } from '../start.ts'
import { framesOf } from './frames.ts'
import { sayProgress } from './progress.ts'

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
  const places: DiskRange[] = []
  async function* archives() {
    for (const preload of preloads) yield counted(preload, { log, signal })
  }
  await box.send(framesOf(archives(), (place) => places.push(place)))
  return places
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
