import { expect, test } from 'vitest'
import { type KernelLogBatch, KernelLogPort, parseBatch } from './control-kernel-log.ts'

const DEADLINE_MS = 10_000

function port() {
  const sent: string[] = []
  const batches: KernelLogBatch[] = []
  const log = new KernelLogPort((line) => sent.push(line))
  return { log, sent, batches, onBatch: (batch: KernelLogBatch) => void batches.push(batch) }
}

test('a batch is its records, and what is missing before them', () => {
  expect(parseBatch('7 812 3 40 1\n4 811 5000123 BUG: x\n6 812 5000200 a b\n')).toEqual([
    7,
    {
      records: [
        { level: 4, sequence: 811, uptimeUs: 5000123, text: 'BUG: x' },
        { level: 6, sequence: 812, uptimeUs: 5000200, text: 'a b' },
      ],
      through: 812,
      overwritten: 3,
      leftOut: 40,
      more: true,
    },
  ])
})

test('a line that is longer than any that the agent sends is cut', () => {
  const [record] = parseBatch(`0 1 0 0 0\n4 1 1 INFO: task ${'/'.repeat(60_000)}\n`)[1].records
  expect(record?.text).toHaveLength(1_024)
})

test('lines that are none are left out, and a batch without a head is no batch', () => {
  expect(parseBatch('0 1 0 0 0\n9 1 1 x\n4 -1 1 x\n4 1 1\n')[1].records).toEqual([])
  for (const message of ['', 'x', '1 2 3 4 5', '1 2 3 4', '-1 2 3 4 0'])
    expect(() => parseBatch(message)).toThrow('head')
})

test('the next batch is asked for when the last one was taken', async () => {
  const { log, sent, batches, onBatch } = port()
  log.follow('now', onBatch)
  expect(sent).toEqual(['kernel-log from-now\n', 'kernel-log wait\n'])
  log.take('0 5 0 0 0\n4 5 1 x\n')
  expect(batches).toHaveLength(1)
  await expect.poll(() => sent.length, { timeout: DEADLINE_MS }).toBe(3)
  log.close()
})

test('a question is asked again until there is no more', async () => {
  const { log, sent, batches, onBatch } = port()
  const drained = log.drain(onBatch, AbortSignal.timeout(DEADLINE_MS))
  log.take('1 5 0 0 1\n4 5 1 x\n')
  await expect.poll(() => sent).toEqual(['kernel-log ask 1\n', 'kernel-log ask 2\n'])
  log.take('2 6 0 0 0\n4 6 1 y\n')
  await drained
  expect(batches.flatMap(({ records }) => records.map(({ text }) => text))).toEqual(['x', 'y'])
})

test('a guest that says what it was not asked for is not heard, and then is no guest of ours', () => {
  const { log, batches, onBatch } = port()
  log.follow('boot', onBatch)
  log.take('0 5 0 0 0\n4 5 1 x\n')
  const flood = () => {
    for (let at = 0; at < 20; at++) log.take('0 6 0 0 0\n4 6 1 WARNING: CPU: 1 PID: 1 at a.c:1 f+0x1\n')
  }
  expect(flood).toThrow('than it was asked for')
  expect(batches).toHaveLength(1)
  log.close()
})

test('a wait for an answer ends with its signal', async () => {
  const { log, onBatch } = port()
  await expect(log.drain(onBatch, AbortSignal.abort(new Error('the VM is gone')))).rejects.toThrow('the VM is gone')
})
