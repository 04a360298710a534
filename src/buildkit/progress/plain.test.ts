import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { logOf, statusOf, vertexOf } from '../testing/progress.ts'
import { PlainDisplay } from './plain.ts'

let written: string
let display: PlainDisplay
beforeEach(() => {
  vi.useFakeTimers()
  written = ''
  display = new PlainDisplay((text) => {
    written += text
  })
})
afterEach(() => {
  vi.useRealTimers()
})

const vertex = (...args: Parameters<typeof vertexOf>) => display.update(vertexOf(...args))
const log = (...args: Parameters<typeof logOf>) => display.update(logOf(...args))

test('a step has a header, its output with the time, and how long it took', () => {
  vertex('[kernel] make', {})
  vertex('[kernel] make', { started: 10 })
  log('[kernel] make', 'CC main', 10.1234)
  log('[kernel] make', '.o\nLD vml', 11.5)
  vertex('[kernel] make', { started: 10, completed: 13.25 })
  expect(written).toBe('#1 [kernel] make\n#1 1.500 CC main.o\n#1 LD vml\n#1 DONE 3.3s\n')
})

test('a line is made of one stream', () => {
  const errors = (text: string) =>
    display.update(statusOf({ logs: [{ vertex: 'a', stream: 'stderr', data: Buffer.from(text), timestampMs: 2_000 }] }))
  vertex('a', { started: 1 })
  errors('error: no ')
  log('a', 'CC a.o\n', 2)
  errors('such file')
  vertex('a', { started: 1, completed: 2 })
  expect(written).toBe('#1 a\n#1 1.000 CC a.o\n#1 error: no such file\n#1 DONE 1.0s\n')
})

test('steps are CACHED, CANCELED, or end in ERROR with its text', () => {
  vertex('a', { started: 1, completed: 1, cached: true })
  vertex('b', { started: 1, completed: 2, error: 'context canceled' })
  vertex('c', { started: 1, completed: 2, error: 'exit code: 2' })
  expect(written).toBe('#1 a\n#1 CACHED\n\n#2 b\n#2 CANCELED\n\n#3 c\n#3 ERROR: exit code: 2\n')
})

test('what waits is not shown, and numbers go by the order of starting', () => {
  vertex('late', {})
  vertex('early', { started: 1 })
  vertex('late', { started: 2 })
  vertex('early', { started: 1, completed: 2 })
  expect(written).toBe('#1 early\n#1 DONE 1.0s\n\n#2 late\n')
})

test('told twice, shown once', () => {
  vertex('a', { started: 1, completed: 2 })
  vertex('a', { started: 1, completed: 2 })
  vertex('a', { started: 1 })
  expect(written).toBe('#1 a\n#1 DONE 1.0s\n')
})

test('a second run of a step adds to its time', () => {
  vertex('pull', { started: 1, completed: 2 })
  vertex('pull', { started: 5, completed: 5.5 })
  expect(written).toBe('#1 pull\n#1 DONE 1.0s\n#1 DONE 1.5s\n')
})

test('a step that a later solve finds in the cache is not told again', () => {
  vertex('base', { started: 1, completed: 2 })
  vertex('base', { started: 7, completed: 7, cached: true })
  expect(written).toBe('#1 base\n#1 DONE 1.0s\n')
})

test('steps at the same time do not tear each other apart', () => {
  vertex('a', { started: 1 })
  vertex('b', { started: 1 })
  log('a', 'a1\n', 1.1)
  log('b', 'b1\n', 1.1)
  log('a', 'a2\n', 1.2)
  expect(written).toBe('#1 a\n#1 0.100 a1\n#1 0.200 a2\n')
  vertex('a', { started: 1, completed: 2 })
  expect(written).toBe('#1 a\n#1 0.100 a1\n#1 0.200 a2\n#1 DONE 1.0s\n\n#2 b\n#2 0.100 b1\n')
})

test('a step that is silent gives way to one that has something to say', () => {
  vertex('silent', { started: 1 })
  vertex('b', { started: 1 })
  log('b', 'b1\n', 1.1)
  vi.advanceTimersByTime(1_000)
  expect(written).toBe('#1 silent\n#1 ...\n\n#2 b\n#2 0.100 b1\n')
})

test('a step that never stops talking gives way too', () => {
  vertex('loud', { started: 0 })
  vertex('b', { started: 0 })
  for (let second = 1; second < 20; second += 0.2) {
    log('loud', 'more\n', second)
    vi.advanceTimersByTime(200)
  }
  expect(written).toContain('#1 ...\n\n#2 b\n')
})

test('amounts are told when they begin, now and then, and when they are done', () => {
  const pull = { id: 'layer', vertex: 'pull', name: '', total: 2_500_000 }
  vertex('pull', { started: 0 })
  for (let tenth = 0; tenth <= 100; tenth += 1)
    display.update(
      statusOf({ statuses: [{ ...pull, current: tenth * 25_000, timestampMs: tenth * 100, startedAtMs: 0 }] }),
    )
  const done = { ...pull, current: 2_500_000, timestampMs: 10_100, startedAtMs: 0, completedAtMs: 10_100 }
  display.update(statusOf({ statuses: [done] }))
  display.update(statusOf({ statuses: [done] }))
  expect(written.split('\n')).toEqual([
    '#1 pull',
    '#1 layer 0B / 2.50MB',
    '#1 layer 1.25MB / 2.50MB',
    '#1 layer 2.50MB / 2.50MB',
    '#1 layer 2.50MB / 2.50MB 10.1s done',
    '',
  ])
})

test('the end shows what was held back, and nothing after it', () => {
  vertex('a', { started: 1 })
  vertex('b', { started: 1 })
  log('b', 'last words\n', 1.1)
  display.end()
  expect(written).toContain('last words')
  const before = written
  log('b', 'too late\n', 1.2)
  vi.advanceTimersByTime(60_000)
  expect(written).toBe(before)
})

test('a warning is told in its step', () => {
  vertex('a', { started: 1 })
  display.update(statusOf({ warnings: [{ vertex: 'a', short: 'old syntax', detail: [], url: '' }] }))
  expect(written).toBe('#1 a\n#1 WARN: old syntax\n')
})
