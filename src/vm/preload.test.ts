import { expect, test, vi } from 'vitest'
import type { Preload } from '../image/index.ts'
import { silentLogger } from '../log/index.ts'
import { parseKernelEntry } from '../options/index.ts'
import type { DiskRange } from '../qemu/index.ts'
import { failureIn, framesOf, loadImages } from './preload.ts'

async function* chunks(...texts: string[]) {
  for (const text of texts) yield Buffer.from(text)
}

async function write(...archives: AsyncIterable<Uint8Array>[]) {
  const ranges: DiskRange[] = []
  async function* all() {
    yield* archives
  }
  const frames: Uint8Array[] = []
  for await (const frame of framesOf(all(), (range) => ranges.push(range))) frames.push(frame)
  return { ranges, disk: read(Buffer.concat(frames)) }
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
  const { ranges, disk } = await write(chunks('one', '', ' two'), chunks('x'.repeat(512)), chunks('last'))
  expect(ranges).toEqual([
    { offset: 0, length: 7 },
    { offset: 512, length: 512 },
    { offset: 1024, length: 4 },
  ])
  expect(disk).toHaveLength(1536)
  const found = ranges.map(({ offset, length }) => disk.subarray(offset, offset + length).toString())
  expect(found).toEqual(['one two', 'x'.repeat(512), 'last'])
})

test('an archive that fails on the way fails all', async () => {
  async function* failing() {
    yield Buffer.from('begun')
    throw new Error('no space left')
  }
  await expect(write(failing())).rejects.toThrow('no space left')
})

const entry = parseKernelEntry('old', { kernel: 'debian:bookworm' })
const preloads = ['one', 'two'].map((name): Preload => ({ name, key: name, open: () => Promise.reject() }))
const ranges = [
  { offset: 0, length: 7 },
  { offset: 512, length: 4 },
]
const { signal } = new AbortController()
const loaded = 'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{"stream":"Loaded image: one\\n"}\r\n'

test('every image is loaded from its range, and then the disk is let go of', async () => {
  const done: unknown[] = []
  const control = {
    loadImages: async (range: object) => {
      done.push(range)
      return loaded
    },
    ejectDisk: async () => void done.push('ejected'),
  }
  await loadImages({ preloads, entry }, { control, ranges, signal }, { log: silentLogger })
  expect(done).toEqual([...ranges, 'ejected'])
})

test('one that dockerd refuses is named, with what dockerd said', async () => {
  const refused = `${loaded}{"errorDetail":{"message":"unexpected \\"EOF\\""},"error":"unexpected \\"EOF\\""}`
  const control = { loadImages: async () => refused, ejectDisk: async () => {} }
  await expect(
    loadImages({ preloads, entry }, { control, ranges, signal }, { log: silentLogger }),
  ).rejects.toMatchObject({
    code: 'IMAGE_TRANSFER_FAILED',
    entry: 'old',
    message: expect.stringMatching(/did not load the image one\n {2}cause: unexpected "EOF"/),
  })
})

test('no news of dockerd for a long time is a failure; news gives it more', async () => {
  vi.useFakeTimers()
  try {
    const control = {
      loadImages: async (_: unknown, onProgress: (bytes: number) => void, stalled: AbortSignal) => {
        await vi.advanceTimersByTimeAsync(800_000)
        onProgress(1)
        await vi.advanceTimersByTimeAsync(800_000)
        stalled.throwIfAborted()
        await vi.advanceTimersByTimeAsync(200_000)
        throw stalled.reason
      },
      ejectDisk: async () => {},
    }
    await expect(loadImages({ preloads, entry }, { control, ranges, signal }, { log: silentLogger })).rejects.toThrow(
      'no news of it for 900 s',
    )
  } finally {
    vi.useRealTimers()
  }
})

test.each([
  ['HTTP/1.0 500 Internal Server Error\r\n\r\n{"message":"no space left on device"}', /no space left/],
  ['dockerd takes no connection', /takes no connection/],
  ['', /closed the connection/],
])('%j is a failure', (answer, says) => {
  expect(failureIn(answer)).toMatch(says)
})
