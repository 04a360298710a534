import { once } from 'node:events'
import { readdir, stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { orAborted } from '../lifetime/index.ts'
import { silentLogger } from '../log/index.ts'
import { Forwards } from './forwards.ts'
import { ask, startTestGuest, type TestGuest } from './testing/guest.ts'

let guest: TestGuest

beforeEach(async () => {
  guest = await startTestGuest((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK'))
})
afterEach(() => guest[Symbol.asyncDispose]())

test('knows its sockets, and takes all of them away at once', async () => {
  const forwards = new Forwards({ streams: guest.streams, ports: 'direct', log: silentLogger })
  const add = (name: string) =>
    forwards.addDocker({ remotePath: guest.remotePath, localPath: join(guest.directory, name) })
  const added = [await add('a.sock'), await add('b.sock')]
  expect(forwards.list()).toEqual(added)
  for (const { path } of added) expect(await ask(path)).toMatchObject({ status: 200, body: 'OK' })
  await forwards.close()
  expect(forwards.list()).toEqual([])
  expect(await readdir(guest.directory)).toEqual(['guest.sock'])
})

test('every socket tells why the VM is gone, also one that is made afterwards', async () => {
  await using forwards = new Forwards({ streams: guest.streams, ports: 'direct', log: silentLogger })
  const add = (name: string) =>
    forwards.addDocker({ remotePath: guest.remotePath, localPath: join(guest.directory, name) })
  const before = await add('a.sock')
  forwards.explain('kernel panic')
  const after = await add('b.sock')
  for (const { path } of [before, after]) {
    expect(JSON.parse((await ask(path)).body)).toEqual({ message: 'kernel panic' })
  }
})

const place = () => ({ directory: guest.directory, directoryOwner: process.getuid?.() ?? 0 })
const newForwards = () => new Forwards({ streams: guest.streams, ports: 'direct', log: silentLogger, entry: 'v2' })

test('a socket of the guest is a private one of the run directory, or a port of the loopback device', async () => {
  const forwards = newForwards()
  const socket = await forwards.addForward({ guest: guest.remotePath, name: 'web' }, place())
  const path = join(guest.directory, 'forward-web.sock')
  expect(socket).toEqual({ name: 'web', kind: 'unix', path, address: path })
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect(await ask(path)).toMatchObject({ status: 200, body: 'OK' })
  await forwards.close()
  expect(await readdir(guest.directory)).toEqual(['guest.sock'])
})

test('a port of this machine is the one that is asked for, and free again afterwards', async () => {
  const probe = newForwards()
  const free = await probe.addForward({ guest: 8080 }, place())
  await probe.close()
  const host = free.kind === 'tcp' ? free.port : 0
  const forwards = newForwards()
  const forward = await forwards.addForward({ guest: guest.remotePath, host, name: 'web' }, place())
  expect(forward).toMatchObject({ kind: 'tcp', host: '127.0.0.1', port: host, address: `127.0.0.1:${host}` })
  expect(await text(connect(host, '127.0.0.1'))).toMatch(/^HTTP\/1\.1 200 OK/)

  await using second = newForwards()
  await expect(second.addForward({ guest: 1, host, name: 'db' }, place())).rejects.toMatchObject({
    code: 'FORWARD_PORT_TAKEN',
    message: expect.stringMatching(`v2: port ${host} of 127.0.0.1, which the forward 'db' asks for, cannot be opened`),
  })
  await forwards.close()
  await second.addForward({ guest: 1, host }, place())
})

test('what nothing in the guest listens at is a connection that is reset', async () => {
  await using forwards = newForwards()
  const forward = await forwards.addForward({ guest: 1 }, place())
  const client = connect(forward.kind === 'tcp' ? forward.port : 0, '127.0.0.1')
  const [error] = await once(client, 'error')
  expect(error).toMatchObject({ code: 'ECONNRESET' })
})

test('close ends a port of this machine that is being opened', async () => {
  const forwards = newForwards()
  const dial = (signal: AbortSignal) => orAborted(new Promise<never>(() => {}), signal)
  const opening = forwards.addHostPort({ port: 8080, dial, gone: new AbortController().signal })
  await Promise.all([forwards.close(), expect(opening).rejects.toThrow('the virtual machine was stopped')])
})
