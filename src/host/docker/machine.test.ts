import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { dialSocket, dialWhenThere } from './machine.ts'

let directory: string
let path: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-dial-'))
  path = join(directory, 'a.sock')
})

afterEach(() => rm(directory, { recursive: true }))

const dial = (signal: AbortSignal) => dialWhenThere(() => dialSocket(path, signal), signal)

test('waits for a socket that comes later', async () => {
  const dialling = dial(new AbortController().signal)
  await expect(dialSocket(path, new AbortController().signal)).rejects.toMatchObject({ code: 'ENOENT' })
  await using server = createServer((socket) => socket.end('there'))
  server.listen(path)
  const stream = await dialling
  expect((await stream.toArray()).join('')).toBe('there')
})

test('the wait ends with the reason of its signal', async () => {
  const abort = new AbortController()
  const dialling = dial(abort.signal)
  abort.abort(new Error('the box ended'))
  await expect(dialling).rejects.toThrow('the box ended')
})
