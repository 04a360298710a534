import { expect, test } from 'vitest'
import { logOf, statusOf, vertexOf } from '../testing/progress.ts'
import { RawJsonDisplay } from './rawjson.ts'

test('each status is one line, with the keys of docker and times to the microsecond', () => {
  const lines: string[] = []
  const display = new RawJsonDisplay((text) => lines.push(text))
  display.update(vertexOf('make', { started: 1.0005, completed: 1.2 }))
  display.update(logOf('make', 'hi\n', 0))
  display.update(statusOf({ warnings: [{ vertex: 'make', short: 'old', detail: [], url: '' }] }))
  expect(lines.every((line) => line.endsWith('\n'))).toBe(true)
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    {
      vertexes: [
        {
          digest: 'make',
          name: 'make',
          started: '1970-01-01T00:00:01.000500Z',
          completed: '1970-01-01T00:00:01.200000Z',
        },
      ],
    },
    { logs: [{ vertex: 'make', stream: 1, data: 'aGkK', timestamp: '1970-01-01T00:00:00.000000Z' }] },
    { warnings: [{ vertex: 'make', short: 'b2xk' }] },
  ])
})

test('lines of others are JSON as well', () => {
  const lines: string[] = []
  new RawJsonDisplay((text) => lines.push(text)).print('building "it"')
  expect(lines).toEqual(['{"message":"building \\"it\\""}\n'])
})
