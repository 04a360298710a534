import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { duplexPair } from 'node:stream'
import { expect, test } from 'vitest'
import type { SshConnectOptions } from './connect.ts'
import { generateKeyPair } from './keys.ts'
import { connectToTestServer, dialPort, startTestServer, type TestServer } from './testing/server.ts'

const connectDeadlineMs = 10_000

function connectTo(server: TestServer, more: Partial<SshConnectOptions> = {}) {
  return connectToTestServer(server, AbortSignal.timeout(connectDeadlineMs), more)
}

test('authenticates with the one key and tries nothing else', async () => {
  await using server = await startTestServer()
  await using _connection = await connectTo(server)
  expect(new Set(server.triedMethods)).toEqual(new Set(['publickey']))
})

test('asks again while the server is not up', async () => {
  await using server = await startTestServer({ dropFirst: 3 })
  await using connection = await connectTo(server)
  expect(connection.ended.aborted).toBe(false)
})

test('a wrong host key ends the attempts at once and both keys are named', async () => {
  await using server = await startTestServer()
  const connecting = connectTo(server, { hostPublicKey: generateKeyPair().publicKey, entry: 'cgroupv1' })
  await expect(connecting).rejects.toMatchObject({
    code: 'SSH_HOST_KEY_MISMATCH',
    message: expect.stringMatching(/^cgroupv1: .*SHA256:\S{43}, not SHA256:\S{43}/),
  })
  expect(server.triedMethods).toEqual([])
})

test('a key that the server does not know ends the attempts at once', async () => {
  await using server = await startTestServer()
  const connecting = connectTo(server, { clientKey: generateKeyPair() })
  await expect(connecting).rejects.toMatchObject({ code: 'SSH_AUTH_FAILED' })
  expect(server.triedMethods).toEqual(['publickey'])
})

test('gives up when the signal aborts, with its reason and the last failure', async () => {
  const closed = createServer().listen(0, '127.0.0.1')
  await once(closed, 'listening')
  const { port } = closed.address() as AddressInfo
  closed.close()
  await once(closed, 'close')
  await using server = await startTestServer()
  const giveUp = new AbortController()
  const debug = (line: string) => {
    if (line.includes('ECONNREFUSED')) giveUp.abort(new Error('the boot took too long'))
  }
  const log = { debug, info: debug, warn: debug, named: () => log }
  const connecting = connectTo(server, { dial: () => dialPort(port), signal: giveUp.signal, log })
  await expect(connecting).rejects.toMatchObject({
    code: 'SSH_CONNECT_FAILED',
    message: expect.stringContaining('ECONNREFUSED'),
    cause: expect.objectContaining({ message: 'the boot took too long' }),
  })
})

test('an abort ends an attempt that the server leaves unanswered', async () => {
  const silent = createServer().listen(0, '127.0.0.1')
  await once(silent, 'listening')
  await using server = await startTestServer()
  const giveUp = new AbortController()
  silent.once('connection', () => giveUp.abort(new Error('stopped by the user')))
  const connecting = connectTo(server, {
    dial: () => dialPort((silent.address() as AddressInfo).port),
    signal: giveUp.signal,
  })
  await expect(connecting).rejects.toMatchObject({ code: 'SSH_CONNECT_FAILED' })
  silent.close()
})

test('tells of a lost connection, and a closed one is not lost', async () => {
  await using server = await startTestServer()
  await using lost = await connectTo(server)
  await using closed = await connectTo(server)
  await Promise.all([closed.close(), closed.close()])
  expect(closed.ended.reason).toMatchObject({ code: 'SSH_CONNECTION_CLOSED' })
  server.cut()
  await once(lost.ended, 'abort')
  expect(lost.ended.reason).toMatchObject({ code: 'SSH_CONNECTION_LOST' })
  await expect(lost.exec(['true'])).rejects.toBe(lost.ended.reason)
  await expect(lost.openUnixStream('/x')).rejects.toBe(lost.ended.reason)
})

test('an abort ends the wait for a guest that hangs', async () => {
  await using server = await startTestServer({ commands: 'hang' })
  await using connection = await connectTo(server)
  const stop = new AbortController()
  const running = connection.exec(['true'], { signal: stop.signal })
  stop.abort(new Error('stopped by the user'))
  await expect(running).rejects.toThrow('stopped by the user')
})

test('a server that says nonsense and goes at once fails the attempt, and not the process', async () => {
  const giveUp = new AbortController()
  let dialled = 0
  const dial = async () => {
    const [ours, theirs] = duplexPair()
    theirs.on('error', () => {})
    theirs.resume()
    theirs.end('SSH-1.0-x\r\n'.repeat(dialled))
    if (++dialled === 20) giveUp.abort(new Error('over'))
    return ours
  }
  await using server = await startTestServer()
  await expect(connectTo(server, { dial, signal: giveUp.signal })).rejects.toMatchObject({ code: 'SSH_CONNECT_FAILED' })
})
