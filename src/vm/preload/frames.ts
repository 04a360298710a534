import type { DiskRange } from '../../qemu/index.ts'

/** Sectors of a disk: what is on it begins and ends with a whole one. */
const SECTOR_BYTES = 512

/**
 * Archives one behind the other as images/runner/receive.c reads them: pieces with their length in front, because nobody knows how long
 * an archive is before it ends, and a piece of length 0 at the end.
 * @param archives each as chunks
 * @param written is called with the place of each archive, in bytes, when it is complete
 */
export async function* framesOf(
  archives: AsyncIterable<AsyncIterable<Uint8Array>>,
  written: (place: DiskRange) => void,
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
