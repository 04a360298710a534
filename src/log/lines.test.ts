import { duplexPair, PassThrough, Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { CUT_MARK, followLines, LineSplitter, readLines, readText } from './lines.ts'

test('a line is whole however it was cut, and an empty one is a line', () => {
  const lines = new LineSplitter()
  expect([...'one\n\ntwo\r\nthr'].flatMap((letter) => lines.push(letter))).toEqual(['one', '', 'two\r'])
  expect(lines.rest).toBe('thr')
  expect(lines.push('ee\nfour\nfi')).toEqual(['three', 'four'])
  expect(lines.flush()).toBe('fi')
  expect(lines.rest).toBe('')
})

test('a character that comes in pieces is one, and what is no UTF-8 is said to be none', () => {
  const lines = new LineSplitter()
  const bytes = [...Buffer.from('zwölf 😀'), 0xff, 0x0a]
  expect(bytes.flatMap((byte) => lines.push(Uint8Array.of(byte)))).toEqual(['zwölf 😀\ufffd'])
})

test('a line that is too long is cut and marked, and the next one is whole', () => {
  const lines = new LineSplitter({ longest: 4 })
  expect(lines.push('12345\n1234\n')).toEqual([`1234${CUT_MARK}`, '1234'])
  for (let piece = 0; piece < 10; piece++) expect(lines.push('xyz')).toEqual([])
  expect(lines.rest).toBe(`xyzx${CUT_MARK}`)
  expect(lines.push('\nafter\n')).toEqual([`xyzx${CUT_MARK}`, `afte${CUT_MARK}`])
})

test('512 MiB without a line end are kept as one line of the longest length', () => {
  const lines = new LineSplitter()
  const mib = 'x'.repeat(1024 * 1024)
  // As one text it would be longer than any text can be.
  for (let piece = 0; piece < 600; piece++) lines.push(mib)
  expect(lines.flush()).toHaveLength(64 * 1024 + CUT_MARK.length)
})

test('where there are no such lines, one is an error', async () => {
  const read = async () => {
    const got: string[] = []
    for await (const line of readLines(['a\r\nbcde', 'f\n'] as never, { longest: 4, overlong: 'throw' })) got.push(line)
    return got
  }
  await expect(read()).rejects.toThrow('a line of more than 4 characters')
})

function closed(stream: PassThrough): Promise<void> {
  return new Promise((resolve) => stream.once('close', resolve))
}

function follow(options: { unfinished?: 'take'; onLine?: (line: string) => void; longest?: number } = {}) {
  const stream = new PassThrough()
  const got: string[] = []
  const failures: unknown[] = []
  const onLine = options.onLine ?? ((line: string) => void got.push(line))
  const { unfinished = 'drop', longest = 100 } = options
  followLines(
    stream,
    { onLine, onFailure: (reason) => failures.push(reason), unfinished },
    { longest, overlong: 'throw' },
  )
  return { stream, got, failures }
}

test('what a listener throws ends the stream and not the process, and nothing comes after it', async () => {
  const got: string[] = []
  const { stream, failures } = follow({
    onLine: (line) => {
      got.push(line)
      throw new SyntaxError(`no ${line}`)
    },
  })
  stream.write('one\ntwo\n')
  await closed(stream)
  expect(got).toEqual(['one'])
  expect(failures).toEqual([new SyntaxError('no one')])
})

test('a line without end ends the stream as soon as it is too long', async () => {
  const { stream, got, failures } = follow({ longest: 8 })
  stream.write('short\n')
  stream.write('much too long')
  await closed(stream)
  expect(got).toEqual(['short'])
  expect(failures).toEqual([expect.objectContaining({ message: 'a line of more than 8 characters' })])
})

test('a stream that breaks says so once', async () => {
  const { stream, failures } = follow()
  stream.destroy(new Error('reset'))
  await closed(stream)
  expect(failures).toEqual([new Error('reset')])
})

test('the end of the other side is told at once, though our own direction stays open', async () => {
  const [ours, theirs] = duplexPair()
  const got: string[] = []
  const ended = new Promise<void>((onEnd) => {
    followLines(ours, { onLine: (line) => got.push(line), onFailure: () => {}, onEnd })
  })
  theirs.end('last\n')
  await ended
  expect([got, ours.closed]).toEqual([['last'], false])
  ours.destroy()
})

test('half a line is none, unless it is asked for', async () => {
  const [whole, all] = [follow(), follow({ unfinished: 'take' })]
  for (const { stream } of [whole, all]) {
    stream.end('one\r\ntw')
    await closed(stream)
  }
  expect(whole.got).toEqual(['one'])
  expect(all.got).toEqual(['one', 'tw'])
})

test('text is read whole, and what is too long is an error before it is all here', async () => {
  expect(
    await readText(Readable.from([Buffer.from('zw\xc3', 'latin1'), Buffer.from('\xb6lf', 'latin1')]), { maxBytes: 6 }),
  ).toBe('zwölf')
  const endless = new Readable({
    read() {
      this.push(Buffer.alloc(1024))
    },
  })
  await expect(readText(endless, { maxBytes: 100_000 })).rejects.toThrow('more than 100000 bytes')
  expect(endless.destroyed).toBe(true)
})
