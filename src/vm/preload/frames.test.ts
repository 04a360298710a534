import { expect, test } from 'vitest'
import type { DiskRange } from '../../qemu/index.ts'
import { framesOf } from './frames.ts'

async function* chunks(...texts: string[]) {
  for (const text of texts) yield Buffer.from(text)
}

async function write(...archives: AsyncIterable<Uint8Array>[]) {
  const places: DiskRange[] = []
  async function* all() {
    yield* archives
  }
  const frames: Uint8Array[] = []
  for await (const frame of framesOf(all(), (place) => places.push(place))) frames.push(frame)
  return { places, disk: read(Buffer.concat(frames)) }
}

/** As images/runner/receive.c does; what is left over is nobody's. */
function read(stream: Buffer): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0; ; ) {
    const length = stream.readUInt32BE(at)
    at += 4
    if (length === 0) {
      expect(at).toBe(stream.length)
      return Buffer.concat(pieces)
    }
    pieces.push(stream.subarray(at, at + length))
    at += length
  }
}

test('each archive is on the disk as it came, from a sector on', async () => {
  const { places, disk } = await write(chunks('one', '', ' two'), chunks('x'.repeat(512)), chunks('last'))
  expect(places).toEqual([
    { offset: 0, length: 7 },
    { offset: 512, length: 512 },
    { offset: 1024, length: 4 },
  ])
  expect(disk).toHaveLength(1536)
  const found = places.map(({ offset, length }) => disk.subarray(offset, offset + length).toString())
  expect(found).toEqual(['one two', 'x'.repeat(512), 'last'])
})

test('an archive that fails on the way fails all', async () => {
  async function* failing() {
    yield Buffer.from('begun')
    throw new Error('no space left')
  }
  await expect(write(failing())).rejects.toThrow('no space left')
})
