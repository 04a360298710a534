import { expect, test } from 'vitest'
import { createDemultiplexer, LineBuffer, type LineStream } from './output.ts'

test('joins chunks to lines, keeps multi-byte characters whole and drops carriage returns', () => {
  const lines = new LineBuffer()
  const bytes = Buffer.from('first\r\nzwölf\nlast')
  for (const byte of bytes) lines.write(Buffer.from([byte]))
  expect(lines.kept).toEqual(['first', 'zwölf'])
  lines.end()
  expect(lines.kept).toEqual(['first', 'zwölf', 'last'])
})

test('each reader gets the kept lines first and then those to come', async () => {
  const lines = new LineBuffer()
  lines.write(Buffer.from('before\n'))
  const readers = [collect(lines), collect(lines)]
  lines.write(Buffer.from('after\n'))
  lines.end()
  expect(await Promise.all(readers)).toEqual([
    ['before', 'after'],
    ['before', 'after'],
  ])
})

test('forgets the oldest lines, and a slow reader goes on with the oldest kept', async () => {
  const lines = new LineBuffer()
  lines.write(Buffer.from('0\n'))
  const reader = lines[Symbol.asyncIterator]()
  expect((await reader.next()).value).toBe('0')
  for (let line = 1; line <= 5_000; line += 1) lines.write(Buffer.from(`${line}\n`))
  expect(lines.kept.length).toBe(1_000)
  expect((await reader.next()).value).toBe('4001')
})

test('the tail includes a line that is not finished', () => {
  const lines = new LineBuffer()
  lines.write(Buffer.from('a\nb\nlogin: '))
  expect(lines.tail(2)).toBe('b\nlogin: ')
})

test('a line without end is cut and marked rather than kept growing', () => {
  const lines = new LineBuffer()
  for (let chunk = 0; chunk < 100; chunk += 1) lines.write(Buffer.alloc(4_096, 'x'))
  expect(lines.tail()).toMatch(/^x{65536} \[cut: too long a line\]$/)
  lines.write(Buffer.from('\nnext\n'))
  expect(lines.kept.map(({ length }) => length)).toEqual([65_536 + ' [cut: too long a line]'.length, 4])
})

test('a thousand lines of the longest length are not kept', () => {
  const lines = new LineBuffer()
  const line = Buffer.from(`${'x'.repeat(65_000)}\n`)
  for (let count = 0; count < 1_000; count += 1) lines.write(line)
  expect(lines.kept.length * 65_000).toBeLessThanOrEqual(4 * 1024 * 1024)
  expect(lines.kept.length).toBeGreaterThan(60)
})

async function collect(lines: LineStream): Promise<string[]> {
  const collected: string[] = []
  for await (const line of lines) collected.push(line)
  return collected
}

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

test('of a frame that says it has four gigabytes nothing is kept back', () => {
  const header = Buffer.of(1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff)
  expect(demultiplex([header, Buffer.from('at '), Buffer.from('once')]).stdout).toBe('at once')
})
