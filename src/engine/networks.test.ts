import { expect, test } from 'vitest'
import { answerJson, startFakeEngine } from '../../fixtures/engine/fake-engine.ts'
import { engineClient } from './connect.ts'
import { defaultBridgeMtu } from './networks.ts'

test.each([
  ['says', { Options: { 'com.docker.network.driver.mtu': '1400' } }, 1400],
  ['does not say', { Options: { 'com.docker.network.bridge.name': 'docker0' } }, 1500],
  ['has no options', { Options: null }, 1500],
])('the MTU of a default bridge that %s', async (_, bridge, mtu) => {
  await using fake = await startFakeEngine(answerJson({ '/networks/bridge': bridge }))
  expect(await defaultBridgeMtu(engineClient(fake.address))).toBe(mtu)
})

test('an engine without a default bridge has the MTU that networks have when nobody says', async () => {
  await using fake = await startFakeEngine(answerJson({}))
  expect(await defaultBridgeMtu(engineClient(fake.address))).toBe(1500)
})
