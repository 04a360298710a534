import { Agent } from 'node:http'
import { expect, test } from 'vitest'
import { ask, scenarioDeadlineMs } from './support.ts'

const parallel = 300

test('300 connections at the same time are all answered', { timeout: scenarioDeadlineMs }, async () => {
  // Not /version: dockerd starts three programs for each, which takes an emulated guest most of a minute.
  const pings = Array.from({ length: parallel }, () => ask('/_ping'))
  const lists = Array.from({ length: parallel }, () => ask('/images/json'))
  expect(await Promise.all(pings)).toEqual(Array(parallel).fill({ status: 200, body: 'OK' }))
  const images = await Promise.all(lists)
  expect(images.map(({ status }) => status)).toEqual(Array(parallel).fill(200))
  expect(new Set(images.map(({ body }) => JSON.parse(body).length)).size).toBe(1)
})

test('a connection that is kept alive carries one request after another', { timeout: scenarioDeadlineMs }, async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const answers = await Promise.all(Array.from({ length: 50 }, () => ask('/_ping', { agent })))
  agent.destroy()
  expect(answers).toEqual(Array(50).fill({ status: 200, body: 'OK' }))
})
