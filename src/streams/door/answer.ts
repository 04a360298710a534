import { once } from 'node:events'
import type { Duplex } from 'node:stream'

/** Longer than any answer of the door (images/door/guest.c). */
const ANSWER_MAX_BYTES = 256

/**
 * Reads the line with which the guest's end of the door answers. What is behind it stays in the stream.
 * @returns the line without its end; undefined when the stream ends before that
 * @throws what the stream fails with
 */
export async function readAnswer(stream: Duplex): Promise<string | undefined> {
  let line = Buffer.alloc(0)
  while (line.length < ANSWER_MAX_BYTES) {
    const piece: Buffer | null = stream.read()
    if (piece === null) {
      if (stream.readableEnded || stream.destroyed) return undefined
      await readableOrOver(stream)
      continue
    }
    line = Buffer.concat([line, piece])
    const end = line.indexOf('\n')
    if (end < 0) continue
    if (end + 1 < line.length) stream.unshift(line.subarray(end + 1))
    return line.toString('utf8', 0, end)
  }
  return undefined
}

/** Resolves when there may be something to read, or never will be. */
async function readableOrOver(stream: Duplex): Promise<void> {
  const heard = new AbortController()
  try {
    await Promise.race(['readable', 'end', 'close'].map((event) => once(stream, event, { signal: heard.signal })))
  } finally {
    heard.abort()
  }
}
