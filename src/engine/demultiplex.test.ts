import { expect, test } from 'vitest'
import { createDemultiplexer } from './demultiplex.ts'

function frame(stream: 1 | 2, payload: string): Buffer {
  const header = Buffer.alloc(8)
  header[0] = stream
  header.writeUInt32BE(Buffer.byteLength(payload), 4)
  return Buffer.concat([header, Buffer.from(payload)])
}

function demultiplex(chunks: readonly Buffer[]): { stdout: string; stderr: string } {
  const output = { stdout: '', stderr: '' }
  const take = createDemultiplexer({
    stdout: (chunk) => {
      output.stdout += chunk
    },
    stderr: (chunk) => {
      output.stderr += chunk
    },
  })
  for (const chunk of chunks) take(chunk)
  return output
}

const bytes = Buffer.concat([frame(1, 'to stdout'), frame(2, 'to stderr'), frame(1, ''), frame(1, ' again')])

test('tells stdout from stderr', () => {
  expect(demultiplex([bytes])).toEqual({ stdout: 'to stdout again', stderr: 'to stderr' })
})

test('frames may be cut anywhere', () => {
  const chunks = [...bytes].map((byte) => Buffer.from([byte]))
  expect(demultiplex(chunks)).toEqual({ stdout: 'to stdout again', stderr: 'to stderr' })
})

test('a chunk of very many small frames', () => {
  const chunk = Buffer.concat(Array<Buffer>(50_000).fill(frame(1, 'x')))
  expect(demultiplex([chunk]).stdout.length).toBe(50_000)
})
