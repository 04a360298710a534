import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { datagramsIn, frameOf } from './streams.ts'

async function read(pieces: Iterable<Buffer>): Promise<string[]> {
  const datagrams: string[] = []
  for await (const datagram of datagramsIn(Readable.from(pieces))) datagrams.push(datagram.toString('latin1'))
  return datagrams
}

const datagrams = ['first', '', 'x'.repeat(65_535), 'last']
const stream = Buffer.concat(datagrams.map((datagram) => frameOf(Buffer.from(datagram))))

/** Pieces of so many bytes, the last one as long as what is left. */
function cut(bytes: Buffer, size: number): Buffer[] {
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, at) => bytes.subarray(at * size, (at + 1) * size))
}

test('a frame is a length of two bytes, the high one first, and the datagram', () => {
  expect(frameOf(Buffer.alloc(258, 'x'))).toEqual(Buffer.concat([Buffer.from([1, 2]), Buffer.alloc(258, 'x')]))
})

test.each([1, 2, 3, 7, 4096, 65_537, stream.length])(
  'datagrams are what they were in pieces of %i bytes',
  async (size) => {
    expect(await read(cut(stream, size))).toEqual(datagrams)
  },
)

test('a datagram that the end of the stream cuts off is none', async () => {
  expect(await read([stream.subarray(0, -1)])).toEqual(datagrams.slice(0, -1))
  expect(await read([Buffer.from([0])])).toEqual([])
})

test('a stream that fails, fails', async () => {
  const failing = Readable.from(
    (async function* () {
      yield frameOf(Buffer.from('whole'))
      throw new Error('the guest is gone')
    })(),
  )
  const reading = datagramsIn(failing)
  expect(String((await reading.next()).value)).toBe('whole')
  await expect(reading.next()).rejects.toThrow('the guest is gone')
})
