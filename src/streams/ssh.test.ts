import { once } from 'node:events'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { connectToTestServer, startTestServer, type TestServer } from '../ssh/testing/server.ts'
import { SshAccess, sshStreams } from './ssh.ts'

let server: TestServer
let connects: number
let access: SshAccess

beforeEach(async () => {
  server = await startTestServer()
  connects = 0
  access = new SshAccess((signal) => {
    connects++
    return connectToTestServer(server, signal)
  })
})

afterEach(async () => {
  await access.close()
  await server[Symbol.asyncDispose]()
})

test('connects when it is first needed, and once', async () => {
  expect(connects).toBe(0)
  const [one, other] = await Promise.all([access.connection(), access.connection()])
  expect(one).toBe(other)
  expect(await access.connection()).toBe(one)
  expect(connects).toBe(1)
})

test('a connection that was lost is made anew', async () => {
  const first = await access.connection()
  server.cut()
  if (!first.ended.aborted) await once(first.ended, 'abort')
  const second = await access.connection()
  expect((await second.exec(['echo', 'again'])).stdout).toBe('again\n')
})

test('one that could not be made is tried again', async () => {
  let failures = 1
  const flaky = new SshAccess(async () => {
    if (failures-- > 0) throw new Error('not yet')
    return await access.connection()
  })
  await expect(flaky.connection()).rejects.toThrow('not yet')
  expect(await flaky.connection()).toBe(await access.connection())
})

test('close ends the connection, or the making of it, and there is none afterwards', async () => {
  const connection = await access.connection()
  await access.close()
  expect(connection.ended.reason).toMatchObject({ code: 'SSH_CONNECTION_CLOSED' })
  await expect(access.connection()).rejects.toThrow('the virtual machine was stopped')

  const never = new SshAccess((signal) => new Promise((_, reject) => (signal.onabort = () => reject(signal.reason))))
  const connecting = never.connection()
  await Promise.all([never.close(), expect(connecting).rejects.toThrow('the virtual machine was stopped')])
})

test('streams go over it, and a refusal is the same as of a door', async () => {
  const path = join(tmpdir(), `tk-ssh-streams-${process.pid}.sock`)
  const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(path)
  await once(echo, 'listening')
  const streams = sshStreams(access)
  const stream = await streams.open({ kind: 'unix', path })
  stream.end('ping')
  expect(await text(stream)).toBe('ping')
  echo.close()
  await once(echo, 'close')
  await expect(streams.open({ kind: 'unix', path })).rejects.toMatchObject({ code: 'STREAM_REFUSED' })
  await expect(streams.open({ kind: 'udp', port: 53 })).rejects.toMatchObject({
    code: 'STREAM_REFUSED',
    message: expect.stringMatching(/UDP port 53\n {2}cause: SSH carries no datagrams/),
  })
})
