import type { Duplex } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type FakeEngine, startFakeEngine } from '../../../fixtures/engine/fake-engine.ts'
import { createClient } from '../../engine/client.ts'
import type { Engine } from '../../engine/index.ts'
import { MOST_DIALLED, remoteMachine } from './machine.ts'

let fake: FakeEngine
/** Those of the programs that dial in a box, and what was written to each. */
let programs: Duplex[]
let written: Buffer[]

beforeEach(async () => {
  programs = []
  written = []
  fake = await startFakeEngine(
    (_, response) => response.writeHead(201, { 'content-type': 'application/json' }).end('{"Id":"e"}'),
    (program) => {
      const at = programs.push(program) - 1
      program.on('data', (bytes: Buffer) => {
        written[at] = Buffer.concat([written[at] ?? Buffer.alloc(0), bytes])
      })
      // On standard output, 3 bytes.
      program.write(Buffer.from([1, 0, 0, 0, 0, 0, 0, 3, ...Buffer.from('ok\n')]))
    },
  )
})
afterEach(() => fake[Symbol.asyncDispose]())

const never = new AbortController().signal

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

test('one more than a box has room for waits until a stream has ended', async () => {
  const dial = dialler()
  const streams = await Promise.all(Array.from({ length: MOST_DIALLED }, () => dial('a.sock', never)))
  const waiting = dial('a.sock', never)
  const calledOff = new AbortController()
  const given = dial('a.sock', calledOff.signal)
  calledOff.abort(new Error('enough'))
  await expect(given).rejects.toThrow('enough')
  expect(programs).toHaveLength(MOST_DIALLED)
  streams[0]?.destroy()
  const late = await waiting
  expect(programs).toHaveLength(MOST_DIALLED + 1)
  for (const stream of [...streams, late]) stream.destroy()
})
