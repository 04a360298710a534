import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
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
