import { expect, test } from 'vitest'
import { Timeline } from './start.ts'

test('steps that overlap are each timed from the same origin, in the order of their ends', async () => {
  const timeline = new Timeline()
  let finishSlow = () => {}
  const slow = timeline.time('dockerd', () => new Promise<void>((resolve) => (finishSlow = resolve)))
  expect(await timeline.time('ssh', async () => 7)).toBe(7)
  finishSlow()
  await slow
  const [ssh, dockerd] = timeline.steps
  expect([ssh?.name, dockerd?.name]).toEqual(['ssh', 'dockerd'])
  expect(dockerd?.fromMs).toBeLessThanOrEqual(ssh?.fromMs ?? 0)
  expect(dockerd?.toMs).toBeGreaterThanOrEqual(ssh?.toMs ?? Number.POSITIVE_INFINITY)
})

test('a step that fails is there as well', async () => {
  const timeline = new Timeline()
  const failing = timeline.time('image', async () => {
    throw new Error('no base image')
  })
  await expect(failing).rejects.toThrow('no base image')
  expect(timeline.steps).toHaveLength(1)
})

test('the summary is one line with every step', async () => {
  const timeline = new Timeline()
  await timeline.time('image', async () => {})
  await timeline.time('kernel and init', async () => {})
  expect(timeline.summary()).toMatch(/^\d+\.\d s \(image \d+\.\d, kernel and init \d+\.\d\)$/)
})
