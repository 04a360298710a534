import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLogger } from '../log/index.ts'
import { connectControl, offsetOf } from './control.ts'

const DEADLINE_MS = 10_000
let directory: string
let path: string
let server: Server
let guest: Promise<Socket>

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-control-'))
  path = join(directory, 'control.sock')
  guest = new Promise((resolve) => {
    server = createServer({ pauseOnConnect: true }, resolve)
  })
})

afterEach(async () => {
  server.close()
  await rm(directory, { recursive: true })
})

async function connectToGuest() {
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return connectControl(connect(path), silentLogger)
}

test('waits for a phase', async () => {
  const control = await connectToGuest()
  const ready = control.phase('ready', AbortSignal.timeout(DEADLINE_MS))
  const socket = await guest
  socket.write('{"phase":"init","uptime":2.1}\n{"phase":"rea')
  socket.write('dy","uptime":13.7}\n')
  expect(await ready).toEqual({ name: 'ready', uptimeS: 13.7 })
  expect(control.phases.map((phase) => phase.name)).toEqual(['init', 'ready'])
  control.close()
  socket.destroy()
})

test('an identity is pushed when the guest says so, and an older answer does not count', async () => {
  const control = await connectToGuest()
  const socket = await guest
  const identity = { hostname: 'a', machineId: 'b', hostKey: Uint8Array.of(1), authorizedKey: 'k' }
  const pushed = control.pushIdentity(identity, AbortSignal.timeout(DEADLINE_MS))
  let received = ''
  for await (const chunk of socket) {
    received += chunk
    if (received.endsWith('admit\n')) break
  }
  expect(received).toContain('hostname a\n')
  await expect(Promise.race([pushed.then(() => 'pushed'), Promise.resolve('waiting')])).resolves.toBe('waiting')
  control.close()
  await expect(control.pushIdentity(identity, AbortSignal.abort(new Error('vm is gone')))).rejects.toThrow('vm is gone')
  pushed.catch(() => {})
})

test('a wait ends with the reason of its signal', async () => {
  const control = await connectToGuest()
  const abort = new AbortController()
  const waiting = control.phase('ready', abort.signal)
  abort.abort(new Error('the box ended'))
  await expect(waiting).rejects.toThrow('the box ended')
  control.close()
})

test('a port that breaks leaves the wait to its signal', async () => {
  const control = await connectToGuest()
  const socket = await guest
  const gone = new AbortController()
  const waiting = control.phase('ready', gone.signal)
  // Unread bytes make the end of the connection a reset.
  control.openDoor({ doorSecret: 's', entropy: Buffer.of(2) })
  socket.destroy()
  // A reset that nobody listens to would end this process here.
  await new Promise((resolve) => setImmediate(resolve))
  gone.abort(new Error('the container exited'))
  await expect(waiting).rejects.toThrow('the container exited')
})

test('a clock that is right is ahead by nothing, to within half the way there and back', () => {
  expect(offsetOf({ askedMs: 1000, answeredMs: 1010, theirMs: 1005 })).toEqual({ aheadMs: 0, uncertaintyMs: 5 })
})

test('a clock that stood still is behind', () => {
  expect(offsetOf({ askedMs: 48_000, answeredMs: 48_002, theirMs: 1 })).toEqual({ aheadMs: -48_000, uncertaintyMs: 1 })
})
