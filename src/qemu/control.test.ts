import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createLogger } from '../log/index.ts'
import { connectControl } from './control.ts'
import { offsetOf } from './control-messages.ts'

const DEADLINE_MS = 10_000
let directory: string
let path: string
let server: Server
let guest: Promise<Socket>
let said: string[]
let faults: number

beforeEach(async () => {
  said = []
  faults = 0
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
  const log = createLogger({ write: (line) => said.push(line) })
  return connectControl(connect(path), { log, entry: 'v1', onFault: () => faults++ })
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

function say(socket: Socket, message: unknown): void {
  socket.write(`${JSON.stringify(message)}\n`)
}

/** Writes as fast as the other end reads, until it has all or is gone. */
async function writeAll(socket: Socket, pieces: Iterable<string | Buffer>): Promise<void> {
  socket.on('error', () => {})
  for (const piece of pieces) {
    if (socket.destroyed) return
    if (socket.write(piece)) continue
    await new Promise<void>((resolve) => {
      for (const event of ['drain', 'close']) socket.once(event, () => resolve())
    })
  }
}

function* repeated(piece: string, count: number): Generator<string> {
  for (let at = 0; at < count; at++) yield piece
}

test.each([
  ['512 MiB without a line end', repeated('x'.repeat(1024 * 1024), 512), 'a line of more than 65536 characters'],
  ['lines that are no messages', repeated('\xff{[\0]}\n'.repeat(100), 2), 'more than 100 lines that are no messages'],
  ['phases without end', repeated('{"phase":"x","uptime":1}\n'.repeat(100), 2), 'more than 100 phases of its boot'],
  ['warnings without end', repeated('{"warning":"x"}\n'.repeat(100), 2), 'more than 100 warnings'],
  ['messages without end', repeated('{"settled":""}\n'.repeat(10_000), 11), 'more than 100000 lines'],
])('a guest that says %s ends its own VM and nothing else', async (_what, pieces, why) => {
  const control = await connectToGuest()
  const socket = await guest
  await writeAll(socket, pieces)
  await expect
    .poll(() => control.fault, { timeout: DEADLINE_MS })
    .toMatchObject({
      code: 'GUEST_MISBEHAVED',
      entry: 'v1',
      message: expect.stringContaining(`cause: ${why}`),
    })
  expect(faults).toBe(1)
  expect(control.phases.length).toBeLessThanOrEqual(101)
  expect(said.length).toBeLessThanOrEqual(100)
})

test('what a guest warns of is one line, and does nothing to a terminal', async () => {
  const control = await connectToGuest()
  const socket = await guest
  say(socket, { warning: '\x1b[2Jdisk\n ✓ all tests passed' })
  await expect
    .poll(() => said, { timeout: DEADLINE_MS })
    .toEqual(['warning: the guest says: \\x1b[2Jdisk\\n ✓ all tests passed'])
  control.close()
  socket.destroy()
})

test('a clock that is none is not sent back', async () => {
  const control = await connectToGuest()
  const socket = await guest
  let received = ''
  socket.on('data', (piece) => {
    received += piece
    const [, question] = /^time (\d+)\n$/.exec(String(piece)) ?? []
    if (question === undefined) return
    for (const seconds of ['x', 'NaN', '1e400', '-1', '', '1.2.3']) say(socket, { time: `${question} ${seconds}` })
    say(socket, { time: `${question} 1700000000.000000001` })
  })
  socket.resume()
  await control.setClock(AbortSignal.timeout(DEADLINE_MS))
  await expect.poll(() => received, { timeout: DEADLINE_MS }).toMatch(/\nshift -?\d+\n$/)
  control.close()
  socket.destroy()
})
