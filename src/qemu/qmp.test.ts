import { mkdtemp, rm } from 'node:fs/promises'
import { connect as connectSocket, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLogger } from '../log/index.ts'
import { dumpMemory, loadState, saveState, startGdbStub, stayAtGuestsEnd } from './migration.ts'
import { connectQmp, QemuCommandError } from './qmp.ts'

const DEADLINE_MS = 10_000
let directory: string
let path: string
let server: Server
let received: { execute: string; arguments?: unknown }[]
/** What the fake QEMU does with a command. */
let answer: (command: { execute: string; id: number }, socket: Socket) => void

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-qmp-'))
  path = join(directory, 'monitor.sock')
  received = []
  answer = ({ id }, socket) => say(socket, { id, return: {} })
  server = createServer((socket) => {
    say(socket, { QMP: { version: {}, capabilities: [] } })
    createInterface({ input: socket }).on('line', (line) => {
      const command = JSON.parse(line)
      received.push(command)
      answer(command, socket)
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
})

afterEach(async () => {
  server.close()
  await rm(directory, { recursive: true })
})

function say(socket: Socket, message: unknown): void {
  socket.write(`${JSON.stringify(message)}\n`)
}

const connect = () =>
  connectQmp(connectSocket(path), { signal: AbortSignal.timeout(DEADLINE_MS), log: silentLogger, entry: 'v1' })

test('leaves the negotiation, and gives what a command returned', async () => {
  answer = ({ execute, id }, socket) => say(socket, { id, return: execute === 'query-status' ? { running: true } : {} })
  const qmp = await connect()
  expect(await qmp.execute('query-status')).toEqual({ running: true })
  expect(received.map(({ execute }) => execute)).toEqual(['qmp_capabilities', 'query-status'])
  qmp.close()
})

test('a command that QEMU refuses fails with its words and the entry', async () => {
  const qmp = await connect()
  answer = ({ id }, socket) => say(socket, { id, error: { class: 'GenericError', desc: 'no such thing' } })
  const refused = qmp.execute('cont')
  await expect(refused).rejects.toBeInstanceOf(QemuCommandError)
  await expect(refused).rejects.toThrow(/v1: QEMU did not do 'cont'\n\s+cause: no such thing/)
  qmp.close()
})

test('a QEMU that goes away fails what waits for it', async () => {
  const qmp = await connect()
  answer = (_, socket) => socket.destroy()
  await expect(qmp.execute('stop')).rejects.toThrow('QEMU ended')
  await expect(qmp.event(() => true)).rejects.toThrow('QEMU ended')
  await expect(qmp.execute('cont')).rejects.toThrow('QEMU ended')
})

test('saving waits for the end of the migration, also when it is over before the answer', async () => {
  const qmp = await connect()
  answer = ({ execute, id }, socket) => {
    if (execute === 'migrate')
      for (const status of ['setup', 'active', 'completed']) say(socket, { event: 'MIGRATION', data: { status } })
    say(socket, { id, return: {} })
  }
  await saveState(qmp, '/state')
  expect(received.map(({ execute }) => execute).slice(1)).toEqual(['stop', 'migrate-set-capabilities', 'migrate'])
  expect(received.at(-1)?.arguments).toEqual({ uri: 'file:/state' })
  qmp.close()
})

test('a state that cannot be loaded is an error', async () => {
  const qmp = await connect()
  answer = ({ execute, id }, socket) => {
    say(socket, { id, return: {} })
    if (execute === 'migrate-incoming') say(socket, { event: 'MIGRATION', data: { status: 'failed' } })
  }
  await expect(loadState(qmp, '/state')).rejects.toThrow('the migration failed')
  qmp.close()
})

test.each([
  ['something else', 'HTTP/1.1 400 Bad Request\r\n', 'its monitor said what is no QMP: HTTP/1.1 400 Bad Request'],
  ['what moves the cursor', '\x1b[2J\n', 'its monitor said what is no QMP: \\x1b[2J'],
  ['a line without end', 'x'.repeat(1024 * 1024 + 1), 'a line of more than 1048576 characters'],
  // As deep as JSON.stringify, for the log, cannot go.
  [
    'an event that is too deep',
    `{"event":"X","data":{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}}\n`,
    'Maximum call stack',
  ],
])('a monitor that says %s ends the session with an error of ours', async (_what, said, cause) => {
  const qmp = await connect()
  answer = (_, socket) => void socket.write(said)
  const event = qmp.event(() => true)
  const executed = qmp.execute('stop')
  for (const waiting of [event, executed]) {
    await expect(waiting).rejects.toBeInstanceOf(QemuCommandError)
    await expect(waiting).rejects.toThrow(cause)
  }
  await expect(qmp.execute('cont')).rejects.toThrow(cause)
})

test('a QEMU that ends is gone, on a connection whose directions end by themselves', async () => {
  answer = ({ execute, id }, socket) => {
    if (execute === 'stop') socket.end()
    else say(socket, { id, return: {} })
  }
  const options = { signal: AbortSignal.timeout(DEADLINE_MS), log: silentLogger, entry: 'v1' }
  const qmp = await connectQmp(connectSocket({ path, allowHalfOpen: true }), options)
  await expect(qmp.execute('stop')).rejects.toThrow('QEMU ended')
  qmp.close()
})

test('half a line of a QEMU that dies is no message, and its end is the reason', async () => {
  const qmp = await connect()
  answer = ({ id }, socket) => void socket.end(`{"id":${id},"retu`)
  await expect(qmp.execute('stop')).rejects.toThrow('QEMU ended')
})

test('events that nobody asked for are heard, each once, beside those that are waited for', async () => {
  const qmp = await connect()
  const heard: string[] = []
  qmp.onEvent(({ event }) => void heard.push(event))
  answer = ({ id }, socket) => {
    for (const event of ['STOP', 'RESUME']) say(socket, { event })
    say(socket, { id, return: {} })
  }
  const resumed = qmp.event(({ event }) => event === 'RESUME')
  await qmp.execute('cont')
  await resumed
  expect(heard).toEqual(['STOP', 'RESUME'])
  qmp.close()
})

test('work that was called off sends nothing more, and the session goes on', async () => {
  const qmp = await connect()
  const calledOff = new AbortController()
  const work = qmp.until(calledOff.signal)
  await work.execute('query-status')
  answer = () => {}
  const [executed, event] = [work.execute('stop'), work.event(() => true)]
  calledOff.abort(new Error('called off'))
  for (const waiting of [executed, event, work.execute('migrate')]) await expect(waiting).rejects.toThrow('called off')
  answer = ({ id }, socket) => say(socket, { id, return: {} })
  await qmp.execute('cont')
  expect(received.map(({ execute }) => execute).slice(1)).toEqual(['query-status', 'stop', 'cont'])
  qmp.close()
})

test('memory is dumped when QEMU says so; as physical memory, and while the monitor answers', async () => {
  answer = ({ execute, id }, socket) => {
    say(socket, { id, return: {} })
    if (execute === 'dump-guest-memory') say(socket, { event: 'DUMP_COMPLETED', data: { result: {} } })
  }
  await dumpMemory(await connect(), '/pipe')
  const asked = { paging: false, protocol: 'file:/pipe', detach: true }
  expect(received.at(-1)).toMatchObject({ execute: 'dump-guest-memory', arguments: asked })
})

test('a dump that fails does so with the reason that QEMU has', async () => {
  answer = ({ execute, id }, socket) => {
    say(socket, { id, return: {} })
    if (execute === 'dump-guest-memory') say(socket, { event: 'DUMP_COMPLETED', data: { error: 'Broken pipe' } })
  }
  const dumped = dumpMemory(await connect(), '/pipe')
  await expect(dumped).rejects.toThrow(/could not write the guest's memory[\s\S]*Broken pipe/)
})

test('QEMU is told to stay when its guest ends', async () => {
  await stayAtGuestsEnd(await connect())
  expect(received.at(-1)).toMatchObject({ execute: 'set-action', arguments: { shutdown: 'pause' } })
})

test('QEMU listens for gdb where it says so, and what it says instead is the reason', async () => {
  let said = "Waiting for gdb connection on device 'unix:/gdb.sock,server=on,wait=off'\r\n"
  answer = ({ execute, id }, socket) => say(socket, { id, return: execute === 'qmp_capabilities' ? {} : said })
  const qmp = await connect()
  await startGdbStub(qmp, '/gdb.sock')
  const line = 'gdbserver unix:/gdb.sock,server=on,wait=off'
  expect(received.at(-1)?.arguments).toEqual({ 'command-line': line })
  said = 'Could not open gdbserver on device\r\n'
  await expect(startGdbStub(qmp, '/gdb.sock')).rejects.toThrow('Could not open gdbserver')
})
