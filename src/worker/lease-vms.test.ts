import { once } from 'node:events'
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { askDockerd, beginTest, type LeasedVm } from './lease-vms.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-watched-'))
})
afterEach(() => rm(directory, { recursive: true }))

test('a failed test is told with what came on the console while it ran, cut to its last whole lines', async () => {
  const consolePath = join(directory, 'console')
  await writeFile(consolePath, 'before\n')
  const facts = { hostname: 'v1-3fa2', accelerator: 'kvm', steps: [], consolePath } as const
  const vm: LeasedVm = { facts } as unknown as LeasedVm
  const [failing, passing, loud] = await Promise.all(['a', 'b', 'c'].map((name) => beginTest(name, [vm])))
  await appendFile(consolePath, 'during\n')
  const toldOf = async (one: typeof failing, failed: boolean) => (await one?.end())?.told({ failed })
  expect(await toldOf(failing, true)).toEqual({ hostnames: ['v1-3fa2'], reports: [], console: 'during\n' })
  expect(await toldOf(passing, false)).toMatchObject({ console: '' })
  await appendFile(consolePath, `${'x'.repeat(99)}\n`.repeat(1000))
  const end = (await toldOf(loud, true))?.console ?? ''
  expect(end.length).toBeLessThanOrEqual(16 * 1024)
  expect(end).toMatch(/^(?:x{99}\n)+$/)
})

test('a dockerd that says nothing is not waited for for ever, and one that is not there not at all', async () => {
  const path = join(directory, 'docker.sock')
  const server = createServer((socket) => void socket.resume())
  server.listen(path)
  await once(server, 'listening')
  const asked = once(server, 'connection')
  expect(await askDockerd(`unix://${path}`, 50)).toEqual({})
  const [socket] = await asked
  socket.destroy()
  server.close()
  expect(await askDockerd(`unix://${join(directory, 'none.sock')}`)).toEqual({})
})
