import { expect, test } from 'vitest'
import { Lanes } from './send-directory.ts'

test('no more jobs run at once than there are lanes', async () => {
  const lanes = new Lanes(2)
  const finish: (() => void)[] = []
  let running = 0
  let most = 0
  const job = async () => {
    running += 1
    most = Math.max(most, running)
    await new Promise<void>((resolve) => finish.push(resolve))
    running -= 1
  }
  const started = (async () => {
    for (let i = 0; i < 5; i += 1) await lanes.start(job)
  })()
  for (let i = 0; i < 5; i += 1) {
    while (finish.length === 0) await Promise.resolve()
    finish.shift()?.()
  }
  await started
  await lanes.drain()
  expect([most, running]).toEqual([2, 0])
})

test('the first failure is told, also when nobody starts another job', async () => {
  const lanes = new Lanes(2)
  await lanes.start(() => Promise.reject(new Error('cannot read')))
  await lanes.start(() => Promise.reject(new Error('later')))
  await expect(lanes.failed).rejects.toThrow('cannot read')
})
