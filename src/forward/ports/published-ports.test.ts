import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { freePort, takenPort } from '../testing/ports.ts'
import {
  address,
  changed,
  container,
  containers,
  dial,
  ended,
  everywhere,
  follow,
  opened,
  service,
  services,
} from '../testing/publishers.ts'

test('a port is open when its container has started, and carries both directions to their ends', async () => {
  const ports = await follow()
  const port = await freePort(address)
  containers.set('web', [everywhere(port), { ...everywhere(port), hostIp: '::' }])
  await ports.opened(container('web'))
  const socket = await dial(port)
  socket.end('hello')
  expect(await text(socket)).toBe('olleh')
  expect(opened).toEqual([{ kind: 'tcp', port, family: 'IPv4' }])
})

test('what runs already is open from the start, and what ends is closed', async () => {
  const port = await freePort(address)
  containers.set('web', [everywhere(port)])
  await follow()
  const socket = await dial(port)
  containers.set('web', [])
  changed(container('web'))
  expect(await text(socket)).toBe('')
  await expect.poll(() => dial(port).catch(({ code }) => code)).toBe('ECONNREFUSED')
})

test('a container that is started again with another port has that one alone', async () => {
  const [first, second] = [await freePort(address), await freePort(address)]
  const ports = await follow()
  containers.set('web', [everywhere(first)])
  await ports.opened(container('web'))
  containers.set('web', [everywhere(second)])
  await Promise.all([ports.opened(container('web')), ports.opened(container('web'))])
  ;(await dial(second)).destroy()
  await expect(dial(first)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('what is published at one address of the guest, or over SCTP, stays in the guest', async () => {
  const port = await freePort(address)
  const ports = await follow()
  containers.set('web', [
    { ...everywhere(port), hostIp: '127.0.0.1' },
    { ...everywhere(port), protocol: 'sctp' },
  ])
  await ports.opened(container('web'))
  await expect(dial(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('what is published over IPv6 alone is reached over that in the guest', async () => {
  const port = await freePort(address)
  const ports = await follow()
  containers.set('web', [{ ...everywhere(port), hostIp: '::' }])
  await ports.opened(container('web'))
  const socket = await dial(port)
  socket.end('hello')
  expect(await text(socket)).toBe('olleh')
  expect(opened).toEqual([{ kind: 'tcp', port, family: 'IPv6' }])
})

test('a port that is taken here is an error by name, and its container does not run', async () => {
  const port = await takenPort(address)
  const free = await freePort(address)
  const ports = await follow()
  containers.set('web', [everywhere(port)])
  containers.set('other', [everywhere(free)])
  await expect(ports.opened(container('web'))).rejects.toMatchObject({
    code: 'PORT_NOT_FORWARDED',
    message: expect.stringContaining(`v2: port ${port}, which the container web publishes`),
  })
  expect(ended).toEqual(['web'])
  await ports.opened(container('other'))
  ;(await dial(free)).destroy()
})

test('who starts a container reads why it was killed, also when an event told of its start before', async () => {
  const port = await takenPort(address)
  const ports = await follow()
  containers.set('web', [everywhere(port)])
  changed(container('web'))
  await expect.poll(() => ended).toEqual(['web'])
  containers.set('web', [])
  await expect(ports.opened(container('web'))).rejects.toMatchObject({ code: 'PORT_NOT_FORWARDED' })
  await ports.opened(container('web'))
})

test('also when the container is removed with its end, and is not there any more', async () => {
  const port = await takenPort(address)
  const ports = await follow()
  containers.set('web', [everywhere(port)])
  changed(container('web'))
  await expect.poll(() => ended).toEqual(['web'])
  containers.delete('web')
  changed(container('web'))
  await expect(ports.opened(container('web'))).rejects.toMatchObject({ code: 'PORT_NOT_FORWARDED' })
})

test('a port may be of TCP and of UDP, and each leads to its own', async () => {
  const ports = await follow()
  const port = await freePort(address)
  containers.set('dns', [everywhere(port), { ...everywhere(port), protocol: 'udp' }])
  await ports.opened(container('dns'))
  ;(await dial(port)).destroy()
  const client = createSocket('udp4')
  onTestFinished(() => void client.close())
  client.send('hello', port, address)
  await expect.poll(() => opened).toContainEqual({ kind: 'udp', port, family: 'IPv4' })
  containers.set('dns', [everywhere(port)])
  await ports.opened(container('dns'))
  const now = createSocket('udp4').bind(port, address)
  onTestFinished(() => void now.close())
  await once(now, 'listening')
  ;(await dial(port)).destroy()
})

test('a service of a swarm has its ports as a container has, and is removed when one cannot be opened', async () => {
  const [first, second, taken] = [await freePort(address), await freePort(address), await takenPort(address)]
  services.set('there', [everywhere(first)])
  const ports = await follow()
  ;(await dial(first)).destroy()
  services.set('web', [everywhere(second)])
  await ports.opened(service('web'))
  ;(await dial(second)).destroy()
  services.delete('web')
  changed(service('web'))
  await expect.poll(() => dial(second).catch(({ code }) => code)).toBe('ECONNREFUSED')
  services.set('clash', [everywhere(taken)])
  await expect(ports.opened(service('clash'))).rejects.toThrow(`port ${taken}, which the service clash publishes`)
  expect(ended).toEqual(['clash'])
})

test('no VM has more ports open here than it may', async () => {
  const ports = await follow({ mostPorts: 2 })
  containers.set('few', [everywhere(await freePort(address)), everywhere(await freePort(address))])
  await ports.opened(container('few'))
  containers.set('more', [everywhere(await freePort(address))])
  const message = expect.stringContaining('one more than the 2 of a VM')
  await expect(ports.opened(container('more'))).rejects.toMatchObject({ code: 'PORT_NOT_FORWARDED', message })
  expect(ended).toEqual(['more'])
  // One that ends makes room, and of two that come at once one finds it.
  containers.set('few', [])
  await ports.opened(container('few'))
  const three = ['one', 'two', 'three']
  for (const id of three) containers.set(id, [everywhere(await freePort(address))])
  const results = await Promise.allSettled(three.map((id) => ports.opened(container(id))))
  expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(1)
})

test('a UDP port that is taken here is an error by name', async () => {
  const port = await freePort(address)
  const taken = createSocket('udp4').bind(port, address)
  onTestFinished(() => void taken.close())
  await once(taken, 'listening')
  const ports = await follow()
  containers.set('dns', [{ ...everywhere(port), protocol: 'udp' }])
  await expect(ports.opened(container('dns'))).rejects.toMatchObject({
    code: 'PORT_NOT_FORWARDED',
    message: expect.stringMatching(new RegExp(`UDP port ${port}, which the container dns publishes[^]*ss -ulnp`)),
  })
})

test('a connection that the guest refuses is reset', async () => {
  const ports = await follow()
  containers.set('web', [everywhere(1)])
  const failure = await ports.opened(container('web')).catch((error) => error)
  // Only root opens port 1; the error for others is that of another test.
  if (failure !== undefined) return expect(failure).toMatchObject({ code: 'PORT_NOT_FORWARDED' })
  const [error] = await once(connect({ host: address, port: 1 }), 'error')
  expect(error).toMatchObject({ code: 'ECONNRESET' })
})

test('nothing is open after the end, and a container that starts later changes nothing', async () => {
  const port = await freePort(address)
  const ports = await follow()
  containers.set('web', [everywhere(port)])
  await ports.opened(container('web'))
  await ports.close()
  await ports.opened(container('web'))
  await expect(dial(port)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})
