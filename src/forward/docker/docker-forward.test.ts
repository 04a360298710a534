import { once } from 'node:events'
import { chmod, lstat, readdir, symlink, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ask, startTestGuest, type TestGuest } from '../testing/guest.ts'
import { forwardDocker } from './docker-forward.ts'

const eventDeadlineMs = 10_000
let guest: TestGuest
let onSocket: (socket: Socket) => void

beforeEach(async () => {
  onSocket = (socket) => socket.pipe(socket)
  guest = await startTestGuest((socket) => onSocket(socket))
})
afterEach(() => guest[Symbol.asyncDispose]())

function forward(name = 'docker.sock', more = {}) {
  const { streams, remotePath, directory } = guest
  return forwardDocker({ streams, remotePath, localPath: join(directory, name), ...more })
}

test('the socket has mode 0600, is alone and goes with close', async () => {
  await using forwarded = await forward()
  expect(forwarded.dockerHost).toBe(`unix://${guest.directory}/docker.sock`)
  expect((await lstat(forwarded.path)).mode & 0o777).toBe(0o600)
  expect((await readdir(guest.directory)).sort()).toEqual(['docker.sock', 'guest.sock'])
  await Promise.all([forwarded.close(), forwarded.close()])
  expect(await readdir(guest.directory)).toEqual(['guest.sock'])
})

test('carries 200 connections at the same time, each with its own bytes', async () => {
  await using forwarded = await forward()
  const clients = Array.from({ length: 200 }, () => connect({ path: forwarded.path, allowHalfOpen: true }))
  await Promise.all(clients.map((client) => once(client, 'connect')))
  for (const [index, client] of clients.entries()) client.end(`I am ${index}`)
  const answers = await Promise.all(clients.map(async (client) => (await buffer(client)).toString()))
  expect(answers).toEqual(clients.map((_, index) => `I am ${index}`))
})

test('the guest ends first: the client still sends, and all of it arrives', async () => {
  const received: Buffer[] = []
  const guestEnded = new Promise<void>((resolve) => {
    onSocket = (socket) => {
      socket.end('bye')
      socket.on('data', (chunk: Buffer) => received.push(chunk))
      socket.once('end', resolve)
    }
  })
  await using forwarded = await forward()
  const client = connect({ path: forwarded.path, allowHalfOpen: true })
  expect(await textUntilEnd(client)).toBe('bye')
  client.end(Buffer.alloc(3_000_000, 'x'))
  await guestEnded
  expect(Buffer.concat(received).length).toBe(3_000_000)
})

test('a client that does not read holds the guest back', async () => {
  const sender = new Promise<Socket>((resolve) => {
    onSocket = resolve
  })
  await using forwarded = await forward()
  const client = connect({ path: forwarded.path })
  client.pause()
  const socket = await sender
  const chunk = Buffer.alloc(1_000_000)
  let sent = 0
  while (socket.write(chunk, () => sent++) && sent < 100);
  for (let i = 0; i < 99; i++) socket.write(chunk)
  expect(socket.writableLength).toBeGreaterThan(80_000_000)
  client.resume()
  await once(socket, 'drain', { signal: AbortSignal.timeout(eventDeadlineMs) })
})

test('a client that goes away abruptly closes its connection in the guest', async () => {
  onSocket = () => {}
  await using forwarded = await forward()
  const client = connect(forwarded.path)
  client.write('GET / HTTP/1.1\r\n\r\n')
  await expect.poll(() => guest.sockets.size, { timeout: eventDeadlineMs }).toBe(1)
  const [socket] = guest.sockets
  socket?.resume()
  client.destroy()
  await once(socket as Socket, 'end', { signal: AbortSignal.timeout(eventDeadlineMs) })
})

test('a guest that closes in the middle of a stream closes the client', async () => {
  onSocket = (socket) => socket.once('data', () => socket.end('HTTP/1.1 101 UPGRADED\r\nUpgrade: tcp\r\n\r\nbye'))
  await using forwarded = await forward()
  const client = connect(forwarded.path)
  client.write('POST /containers/c0ffee/attach HTTP/1.1\r\n\r\n')
  expect(await textUntilEnd(client)).toMatch(/bye$/)
})

test("a guest where nobody listens is Docker's own error", async () => {
  await using forwarded = await forward('docker.sock', { remotePath: '/nowhere.sock' })
  const answer = await ask(forwarded.path)
  expect(answer).toMatchObject({ status: 500, type: 'application/json' })
  expect(JSON.parse(answer.body)).toEqual({ message: expect.stringContaining('/nowhere.sock') })
})

test('a path that does not fit into a socket address is refused', async () => {
  const name = 'n'.repeat(107 - Buffer.byteLength(guest.directory) - 1)
  await using forwarded = await forward(name)
  expect(Buffer.byteLength(forwarded.path)).toBe(107)
  await expect(forward(`${name}n`)).rejects.toMatchObject({ code: 'FORWARD_PATH_TOO_LONG' })
})

test('a directory that lets others in is refused', async () => {
  await chmod(guest.directory, 0o750)
  await expect(forward()).rejects.toMatchObject({
    code: 'FORWARD_DIRECTORY_NOT_PRIVATE',
    message: expect.stringContaining('has mode 0750'),
  })
  await chmod(guest.directory, 0o700)
})

test('a directory that is none or is not there is refused', async () => {
  await writeFile(join(guest.directory, 'file'), '')
  await expect(forward('file/docker.sock')).rejects.toMatchObject({ code: 'FORWARD_DIRECTORY_NOT_PRIVATE' })
  await expect(forward('none/docker.sock')).rejects.toMatchObject({ code: 'FORWARD_DIRECTORY_NOT_PRIVATE' })
})

test('what is at the path already stays there', async () => {
  await symlink('/nowhere', join(guest.directory, 'docker.sock'))
  await expect(forward()).rejects.toMatchObject({ code: 'FORWARD_PATH_TAKEN' })
  expect((await readdir(guest.directory)).sort()).toEqual(['docker.sock', 'guest.sock'])
})

async function textUntilEnd(socket: Socket): Promise<string> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(socket, 'end', { signal: AbortSignal.timeout(eventDeadlineMs) })
  return Buffer.concat(chunks).toString()
}
