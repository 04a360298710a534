import { Agent } from 'node:http'
import { expect, test } from 'vitest'
import { ask, scenarioDeadlineMs } from './support.ts'

const parallel = 200

test('200 connections at the same time are all answered', { timeout: scenarioDeadlineMs }, async () => {
  const pings = Array.from({ length: parallel }, () => ask('/_ping'))
  const versions = Array.from({ length: parallel }, () => ask('/version'))
  expect(await Promise.all(pings)).toEqual(Array(parallel).fill({ status: 200, body: 'OK' }))
  const bodies = (await Promise.all(versions)).map(({ body }) => JSON.parse(body).ApiVersion)
  expect(new Set(bodies).size).toBe(1)
})

test('a connection that is kept alive carries one request after another', { timeout: scenarioDeadlineMs }, async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask('/_ping', { agent })))
  agent.destroy()
  expect(answers).toEqual(Array(50).fill({ status: 200, body: 'OK' }))
})
