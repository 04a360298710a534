/** Header of a frame in the engine's attach stream: kind of stream, three zeros, length of the payload. */
const HEADER_BYTES = 8
const STDERR = 2

export interface Outputs {
  readonly stdout: (chunk: Buffer) => void
  readonly stderr: (chunk: Buffer) => void
}

/**
 * Takes the chunks of an attach stream and gives the payloads to stdout and stderr. docker-modem's own demuxStream recurses
 * once for each frame and overflows the stack on a chunk of many small frames, which is what a serial console writes.
 */
export function createDemultiplexer(outputs: Outputs): (chunk: Buffer) => void {
  let pending: Buffer = Buffer.alloc(0)
  return (chunk) => {
    const data = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    let offset = 0
    while (data.length - offset >= HEADER_BYTES) {
      const end = offset + HEADER_BYTES + data.readUInt32BE(offset + 4)
      if (end > data.length) break
      const output = data[offset] === STDERR ? outputs.stderr : outputs.stdout
      output(data.subarray(offset + HEADER_BYTES, end))
      offset = end
    }
    pending = data.subarray(offset)
  }
}
