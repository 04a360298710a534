import { expect, test } from 'vitest'
import { LogTail, TerminalLines } from './text.ts'

test('lines come whole, wherever the output was cut', () => {
  const bytes = Buffer.from('one\r\ntwö\n\nthree')
  const splitter = new TerminalLines()
  const lines = [...bytes].flatMap((byte) => splitter.push(Uint8Array.of(byte)))
  expect(lines).toEqual(['one', 'twö', ''])
  expect(splitter.rest).toBe('three')
})

test('what was written over with carriage returns is not shown', () => {
  const splitter = new TerminalLines()
  expect(splitter.push(Buffer.from('10%\r50%\r100%\ndone\r\n'))).toEqual(['100%', 'done'])
  splitter.push(Buffer.from('10%\r20%\r'))
  expect(splitter.rest).toBe('20%')
  splitter.push(Buffer.from('30%'))
  expect(splitter.rest).toBe('30%')
  expect(splitter.push(Buffer.from('\r\n'))).toEqual(['30%'])
})

const out = (text: string) => ({ stream: 'stdout', data: Buffer.from(text) }) as const
const err = (text: string) => ({ stream: 'stderr', data: Buffer.from(text) }) as const

test('a tail keeps the last lines, the unfinished one among them', () => {
  const tail = new LogTail(2)
  tail.push(out('1\n2\n3\n'))
  expect(tail.lines).toEqual(['2', '3'])
  tail.push(out('4'))
  expect(tail.lines).toEqual(['3', '4'])
})

test('an unfinished line of one stream does not run into the other', () => {
  const tail = new LogTail(9)
  tail.push(err('error: no '))
  tail.push(out('CC a.o\nCC b'))
  tail.push(err('such file'))
  expect(tail.lines).toEqual(['CC a.o', 'CC b', 'error: no such file'])
})
