import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { takenPort } from '../testing/ports.ts'
import { container, containers, dial, everywhere, follow, opened, service, services } from '../testing/publishers.ts'
import { loopbackAddress } from './published-ports.ts'

test('at the address that all VMs share, a port that is taken is another one, until it is free', async () => {
  const shared = loopbackAddress('localhost')
  const port = await takenPort(shared)
  const ports = await follow({ address: shared })
  containers.set('web', [everywhere(port), { ...everywhere(port), protocol: 'udp' }])
  await ports.opened(container('web'))
  const at = ports.moved('web').get(`${port}/tcp`) ?? 0
  expect([...ports.moved('web').keys()]).toEqual([`${port}/tcp`])
  const socket = await dial(at, shared)
  socket.end('hello')
  expect(await text(socket)).toBe('olleh')
  expect(opened).toEqual([{ kind: 'tcp', port, family: 'IPv4' }])
  containers.set('web', [])
  await ports.opened(container('web'))
  expect(ports.hasMoved).toBe(false)
})

test("a swarm's service cannot have another port there", async () => {
  const shared = loopbackAddress('localhost')
  const port = await takenPort(shared)
  const ports = await follow({ address: shared })
  services.set('web', [everywhere(port)])
  await expect(ports.opened(service('web'))).rejects.toMatchObject({ code: 'PORT_NOT_FORWARDED' })
})
