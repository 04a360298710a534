import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FateWatch } from '../worker/fate.ts'
import { Fates } from './fates.ts'
import { SessionThread } from './session-thread.ts'

let directory: string
let lines: string[]
const wanted = {
  rows: [],
  isolation: 'project',
  retryOn: 'same-vm',
  keepOnFailure: false,
  owner: undefined,
  workers: 1,
} as const

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-thread-'))
  lines = []
})

afterEach(() => rm(directory, { recursive: true, force: true }))

/** A thread that answers each request as this code does, which has `request` and `tell`. */
async function threadOf(code: string): Promise<SessionThread> {
  const module = join(directory, 'thread.mjs')
  await writeFile(
    module,
    `import { parentPort } from 'node:worker_threads'
    const tell = (reply) => parentPort.postMessage(reply)
    parentPort.on('message', (request) => {
      const { id } = request
      ${code}
    })`,
  )
  return new SessionThread((line) => lines.push(line), pathToFileURL(module))
}

const leased = `tell({ kind: 'leased', id, sources: [], directory: import.meta.dirname })`

test('what a thread refuses is the error of who asked, and the thread goes on', async () => {
  const thread = await threadOf(
    `id === 0 ? tell({ kind: 'refused', id, message: 'no room' }) : request.kind === 'lease' ? ${leased} : tell({ kind: 'released', id })`,
  )
  await expect(thread.lease(wanted)).rejects.toThrow('no room')
  const lease = await thread.lease(wanted)
  await lease.release()
  expect(lines).toEqual([])
})

test('a thread that dies while somebody waits is his error, and the next lease is of another thread', async () => {
  const thread = await threadOf(
    `if (id === 0) throw new Error('out of luck'); request.kind === 'lease' ? ${leased} : tell({ kind: 'released', id })`,
  )
  await expect(thread.lease(wanted)).rejects.toMatchObject({
    code: 'VMS_LOST',
    message: expect.stringContaining('out of luck'),
  })
  await (await thread.lease(wanted)).release()
})

test('of a thread that dies while nobody waits hear the user, and the workers that have its VMs', async () => {
  const thread = await threadOf(`${leased}; setImmediate(() => process.exit(3))`)
  // As the thread does for each VM.
  const { path } = await new Fates(async () => directory).follow({ started: new Promise(() => {}) })
  const watch = new FateWatch(path)
  try {
    const lease = await thread.lease(wanted)
    await expect(watch.ready()).rejects.toThrow('it ended with status 3')
    expect(lease.failed).toBe(true)
    expect(lines.join()).toContain('the thread that has the VMs ended')
    await lease.release()
  } finally {
    watch.close()
  }
})

test('while VMs are kept, the first Ctrl-C has them let go, and the release goes on', async () => {
  const thread = await threadOf(
    `if (request.kind === 'lease') ${leased}
    if (request.kind === 'release') globalThis.waiting = id
    if (request.kind === 'let go') tell({ kind: 'released', id: globalThis.waiting })`,
  )
  const before = process.listenerCount('SIGINT')
  const lease = await thread.lease({ ...wanted, keepOnFailure: true })
  const released = lease.release()
  process.emit('SIGINT')
  await released
  expect(process.listenerCount('SIGINT')).toBe(before)
})
