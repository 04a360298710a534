import type { Readable } from 'node:stream'

/** Bytes that a frame begins with: the length of its datagram, the high byte first (images/door/frames.c). */
const HEAD_BYTES = 2

/** What a datagram is in a stream to a UDP port of the guest. @param datagram of at most 65,535 bytes */
export function frameOf(datagram: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(HEAD_BYTES + datagram.length)
  frame.writeUInt16BE(datagram.length)
  frame.set(datagram, HEAD_BYTES)
  return frame
}

/** The datagrams of a stream of frames; one that the stream's end cuts off is none. @throws what the stream fails with */
export async function* datagramsIn(stream: Readable): AsyncGenerator<Buffer, void> {
  let pieces: Buffer[] = []
  let heldBytes = 0
  /** Before there are so many, nothing more is whole: they are not put together for every byte that comes. */
  let wantedBytes = HEAD_BYTES
  for await (const piece of stream) {
    pieces.push(piece)
    heldBytes += piece.length
    if (heldBytes < wantedBytes) continue
    let held = Buffer.concat(pieces)
    while (held.length >= HEAD_BYTES) {
      wantedBytes = HEAD_BYTES + held.readUInt16BE()
      if (held.length < wantedBytes) break
      yield held.subarray(HEAD_BYTES, wantedBytes)
      held = held.subarray(wantedBytes)
      wantedBytes = HEAD_BYTES
    }
    pieces = [held]
    heldBytes = held.length
  }
}
