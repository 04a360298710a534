import { createHash, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { createLogger } from '../log/index.ts'
import { acquireMachineLock } from './machine-lock.ts'

test.runIf(process.platform === 'linux')('lets one in at a time, and everybody in the end', async () => {
  const name = randomUUID()
  let inside = 0
  let most = 0
  let entered = 0
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      await using _lock = await acquireMachineLock(name, { what: 'test' })
      inside += 1
      entered += 1
      most = Math.max(most, inside)
      await new Promise((resolve) => setImmediate(resolve))
      inside -= 1
    }),
  )
  expect({ most, entered }).toEqual({ most: 1, entered: 20 })
})

test.runIf(process.platform === 'linux')('says that it waits, and stops waiting when aborted', async () => {
  const name = randomUUID()
  await using _held = await acquireMachineLock(name, { what: 'test' })
  const controller = new AbortController()
  const lines: string[] = []
  const log = createLogger({
    write: (line) => {
      lines.push(line)
      controller.abort(new Error('stopped by the user'))
    },
  })
  const waiting = acquireMachineLock(name, { what: 'base image', signal: controller.signal, log })
  await expect(waiting).rejects.toThrow('stopped by the user')
  expect(lines).toEqual(['another process is making the base image; waiting for it'])
})

test.runIf(process.platform === 'linux')(
  'does without when its turn does not come: anybody can take a name',
  async () => {
    const name = randomUUID()
    await using _held = await acquireMachineLock(name, { what: 'test' })
    const lines: string[] = []
    const log = createLogger({ write: (line) => lines.push(line) })
    await using _none = await acquireMachineLock(name, { what: 'base image', turnTimeoutMs: 1, log })
    expect(lines.at(-1)).toContain('making it as well')
  },
)

test.runIf(process.platform === 'linux')(
  'one who has its name and closes each connection at once keeps no processor busy',
  async () => {
    const name = randomUUID()
    const digest = createHash('sha256').update(name).digest('hex')
    let connections = 0
    const stranger = createServer((socket) => {
      connections++
      socket.destroy()
    })
    stranger.listen(`\0testkernels/${digest}`.padEnd(108, '-'))
    await once(stranger, 'listening')
    try {
      await using _none = await acquireMachineLock(name, { what: 'test', turnTimeoutMs: 500 })
      // Thousands, where nothing is between two tries.
      expect(connections).toBeGreaterThan(0)
      expect(connections).toBeLessThan(20)
    } finally {
      stranger.close()
    }
  },
)

test.runIf(process.platform === 'linux')('different names do not wait for each other', async () => {
  await using _one = await acquireMachineLock(randomUUID(), { what: 'test' })
  await using _other = await acquireMachineLock(randomUUID(), { what: 'test' })
})

test.runIf(process.platform === 'linux')('its name is as long as one can be, which every Node has alike', async () => {
  const name = randomUUID()
  await using _lock = await acquireMachineLock(name, { what: 'test' })
  const digest = createHash('sha256').update(name).digest('hex')
  const [line = ''] = (await readFile('/proc/net/unix', 'utf8')).split('\n').filter((one) => one.includes(digest))
  expect(line.split(' ').at(-1)).toHaveLength(108)
})
