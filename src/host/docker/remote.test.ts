import { once, setMaxListeners } from 'node:events'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type FakeEngine, startFakeEngine } from '../../../fixtures/engine/fake-engine.ts'
import { createClient } from '../../engine/client.ts'
import type { Engine } from '../../engine/index.ts'
import { MOST_DIALLED, MOST_DIALLING, remoteMachine } from './machine.ts'

let fake: FakeEngine
/** Before each of its programs, once it is asked for. */
let starts: (() => void)[] | undefined
/** Those of the programs that dial in a box, and what was written to each. */
let programs: Duplex[]
let written: Buffer[]

beforeEach(async () => {
  starts = undefined
  programs = []
  written = []
  fake = await startFakeEngine(
    (_, response) => response.writeHead(201, { 'content-type': 'application/json' }).end('{"Id":"e"}'),
    (program) => {
      const at = programs.push(program) - 1
      program.on('data', (bytes: Buffer) => {
        written[at] = Buffer.concat([written[at] ?? Buffer.alloc(0), bytes])
      })
      const start = () => void program.write(printed('\0\0\0\x03ok\n'))
      if (starts === undefined) start()
      else starts.push(start)
    },
  )
})
afterEach(() => fake[Symbol.asyncDispose]())

/** On standard output, as an engine has it in its stream. */
function printed(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  const head = Buffer.from([1, 0, 0, 0, 0, 0, 0, 0])
  head.writeUInt32BE(bytes.length, 4)
  return Buffer.concat([head, bytes])
}

const never = new AbortController().signal
// All that wait here have the one.
setMaxListeners(0, never)

function dialler() {
  const engine = { docker: createClient(fake.address) } as unknown as Engine
  return remoteMachine(engine).dialler({ id: 'box' }, { kind: 'sockets', directory: '/tmp/x', target: '/run/x' })
}

test('what is written goes in frames, and an end of it is a frame without bytes', async () => {
  const stream = await dialler()('a.sock', never)
  stream.write('hello')
  stream.write('')
  stream.end('!')
  const frames = Buffer.from('\0\0\0\x05hello\0\0\0\x01!\0\0\0\0').toString('latin1')
  // Behind the request's own JSON.
  await expect.poll(() => written[0]?.toString('latin1').replace(/^\{[^}]*\}/, '')).toBe(frames)
  expect(programs[0]?.readableEnded).toBe(false)
  stream.destroy()
})

test('what is read comes in frames, and their end is not that of what is written', async () => {
  const stream = await dialler()('a.sock', never)
  // A frame may begin and end anywhere.
  for (const byte of '\0\0\0\x05hello\0\0\0\x01!\0\0\0\0') programs[0]?.write(printed(byte))
  // Who iterates a stream destroys it at its end.
  let read = ''
  stream.on('data', (bytes) => (read += bytes))
  await once(stream, 'end')
  expect(read).toBe('hello!')
  stream.end('and on')
  await expect.poll(() => written[0]?.toString('latin1').includes('and on')).toBe(true)
  programs[0]?.end()
  await once(stream, 'close')
})

test.each([
  ['between two frames', '\0\0\0\x05hello'],
  ['within a frame', '\0\0\0\x09hello'],
])('a connection that ends %s was lost', async (_, said) => {
  const stream = await dialler()('a.sock', never)
  programs[0]?.end(printed(said))
  await expect(text(stream)).rejects.toThrow('the connection to the engine was lost')
})

test('one more than a box has room for waits until a stream has ended', async () => {
  const dial = dialler()
  const streams = await Promise.all(Array.from({ length: MOST_DIALLED }, () => dial('a.sock', never)))
  let advances = 0
  const waiting = dial('a.sock', never, { onAdvance: () => advances++ })
  const calledOff = new AbortController()
  const given = dial('a.sock', calledOff.signal)
  calledOff.abort(new Error('enough'))
  await expect(given).rejects.toThrow('enough')
  expect(programs).toHaveLength(MOST_DIALLED)
  expect(advances).toBe(0)
  streams[0]?.destroy()
  const late = await waiting
  expect(advances).toBeGreaterThan(0)
  expect(programs).toHaveLength(MOST_DIALLED + 1)
  for (const stream of [...streams, late]) stream.destroy()
})

test('what shows that the VM lives waits for no other', async () => {
  const dial = dialler()
  const streams = await Promise.all(Array.from({ length: MOST_DIALLED }, () => dial('a.sock', never)))
  const first = await dial('a.sock', never, { turn: 'first' })
  for (const stream of [...streams, first]) stream.destroy()
})

test('so many begin at a time, and the next when one is there', async () => {
  const started: (() => void)[] = []
  starts = started
  const dial = dialler()
  const dialling = Array.from({ length: MOST_DIALLING + 3 }, () => dial('a.sock', never))
  await expect.poll(() => programs.length).toBe(MOST_DIALLING)
  const first = dial('a.sock', never, { turn: 'first' })
  await expect.poll(() => programs.length).toBe(MOST_DIALLING + 1)
  started.at(-1)?.()
  await first
  started[0]?.()
  await dialling[0]
  await expect.poll(() => programs.length).toBe(MOST_DIALLING + 2)
  starts = undefined
  for (const start of started.slice(1)) start()
  for (const stream of [await first, ...(await Promise.all(dialling))]) stream.destroy()
})
