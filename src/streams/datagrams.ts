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
  let held = Buffer.alloc(0)
  for await (const piece of stream) {
    held = held.length === 0 ? piece : Buffer.concat([held, piece])
    let at = 0
    while (held.length - at >= HEAD_BYTES) {
      const end = at + HEAD_BYTES + held.readUInt16BE(at)
      if (end > held.length) break
      yield held.subarray(at + HEAD_BYTES, end)
      at = end
    }
    held = held.subarray(at)
  }
}
