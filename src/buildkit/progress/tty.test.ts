import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { logOf, Screen, statusOf, vertexOf } from '../testing/progress.ts'
import { TtyDisplay } from './tty.ts'
import { paint } from './tty-frame.ts'

let screen: Screen
let display: TtyDisplay
beforeEach(() => {
  vi.useFakeTimers()
  screen = new Screen({ columns: 40, rows: 10 })
  screen.write('$ testkernels build\n')
  display = new TtyDisplay(screen)
})
afterEach(() => {
  display.end()
  vi.useRealTimers()
})

const vertex = (...args: Parameters<typeof vertexOf>) => display.update(vertexOf(...args))
const log = (...args: Parameters<typeof logOf>) => display.update(logOf(...args))

/** The screen after `ms`, by line. */
function shown(ms = 100): string[] {
  vi.advanceTimersByTime(ms)
  return screen.text.split('\n')
}

test('running steps have a timer and the tail of their output, finished ones a line', () => {
  vertex('[base] debian', { started: 1, completed: 1, cached: true })
  vertex('[kernel] make', { started: 1 })
  vertex('[image] pack', {})
  log('[kernel] make', 'CC a.o\nCC b.o\nCC c', 1)
  expect(shown(1_500)).toEqual([
    '$ testkernels build',
    '[+] Building 1.5s (1/3)',
    ' => CACHED [base] debian            0.0s',
    ' => [kernel] make                   1.5s',
    ' => => # CC a.o',
    ' => => # CC b.o',
    ' => => # CC c',
    '',
  ])
  vertex('[kernel] make', { started: 1, completed: 3.5 })
  expect(shown()).toEqual([
    '$ testkernels build',
    '[+] Building 1.6s (2/3)',
    ' => CACHED [base] debian            0.0s',
    ' => [kernel] make                   2.5s',
    '',
  ])
})

test('what is counted is shown while it grows', () => {
  vertex('pull', { started: 1 })
  const layer = { id: 'sha256:abc', vertex: 'pull', name: '', total: 2_000_000 }
  display.update(statusOf({ statuses: [{ ...layer, current: 500_000 }] }))
  expect(shown()).toContain(' => => sha256:abc 500.00kB / 2.00MB')
  display.update(statusOf({ statuses: [{ ...layer, current: 2_000_000, completedAtMs: 2_000 }] }))
  expect(shown()).not.toContainEqual(expect.stringContaining('sha256:abc'))
})

test('output can neither move the cursor nor break the lines', () => {
  vertex('a', { started: 1 })
  log('a', '\u001b[2J\u001b[31mred\u001b[0m\ttab\u0007\rover\u001b[5A\n', 1)
  log('a', `${'long '.repeat(50)}\n`, 1)
  expect(shown().slice(3)).toEqual([' => => # over', ` => => # ${'long '.repeat(6)}…`, ''])
})

test('the picture never has more rows than the terminal, and shows those that run', () => {
  for (let i = 1; i <= 20; i += 1) vertex(`done ${i}`, { started: i, completed: i + 1 })
  vertex('running', { started: 30 })
  for (let i = 1; i <= 20; i += 1) log('running', `line ${i}\n`, 31)
  vi.advanceTimersByTime(5_000)
  const lines = shown()
  expect(lines.slice(0, 2)).toEqual(['$ testkernels build', '[+] Building 5.1s (20/21)'])
  expect(lines.length).toBeLessThanOrEqual(1 + 10)
  expect(lines).toContain(' => running                         5.1s')
  expect(lines).toContain(' => => # line 20')
  expect(lines.filter((line) => line.includes('Building'))).toHaveLength(1)
})

test('after a resize nothing of the old picture is left', () => {
  vertex('a step with a rather long name to cut', { started: 1 })
  log('a step with a rather long name to cut', 'some output that fills the line of forty\n', 1)
  shown()
  screen.resize({ columns: 25, rows: 12 })
  expect(shown()).toEqual([
    '$ testkernels build',
    '[+] Building 0.2s (0/1)',
    ' => a step with a r… 0.2s',
    ' => => # some output tha…',
    '',
  ])
})

test('the end leaves every step in one line, and gives the terminal back', () => {
  for (let i = 1; i <= 15; i += 1) vertex(`step ${i}`, { started: i, completed: i + 1 })
  vertex('bad', { started: 30 })
  log('bad', 'why it failed\n', 30)
  shown()
  expect(screen.cursor).toBe('hidden')
  vertex('bad', { started: 30, completed: 31, error: 'exit code: 1' })
  vertex('stopped', { started: 30, completed: 31, error: 'context canceled' })
  display.end()
  const lines = screen.text.split('\n')
  expect(lines).toHaveLength(1 + 1 + 17 + 1)
  expect(lines[1]).toBe('[+] Building 0.1s (17/17) FINISHED')
  expect(lines.slice(-3)).toEqual([
    ' => ERROR bad                       1.0s',
    ' => CANCELED stopped                1.0s',
    '',
  ])
  expect(screen.cursor).toBe('shown')
  expect(screen.listenerCount('resize')).toBe(0)
  expect(vi.getTimerCount()).toBe(0)
})

test('nothing is drawn when nothing was told', () => {
  display.end()
  expect(screen.text).toBe('$ testkernels build\n')
})

test('without colors there are none', () => {
  const plain: string[] = []
  const terminal = { write: (text: string) => plain.push(text), on: () => {}, off: () => {} }
  const colorless = new TtyDisplay(terminal, { colors: 'off' })
  colorless.update(vertexOf('a', { started: 1, completed: 2 }))
  colorless.end()
  expect(plain.join('')).toContain(' => a ')
  expect(plain.join('')).not.toContain(paint('blue', '').slice(0, 5))
})

test('lines of others go above the picture, and after the end below it', () => {
  vertex('[kernel] make', { started: 1 })
  shown()
  display.print('building the image')
  expect(shown(0)).toEqual([
    '$ testkernels build',
    'building the image',
    '[+] Building 0.1s (0/1)',
    ' => [kernel] make                   0.1s',
    '',
  ])
  display.end()
  display.print('starting the VM')
  expect(shown(0).slice(-2)).toEqual(['starting the VM', ''])
})
