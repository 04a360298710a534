import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { connectEngine, resolveEngineAddress } from '../../src/engine/index.ts'

test('the engine under test tells who it is', async () => {
  const engine = await connectEngine(await resolveEngineAddress(process.env))
  expect(engine).toMatchObject({ arch: { name: 'amd64' }, apiVersion: expect.stringMatching(/^1\.\d+$/) })
  expect(engine.memoryMib).toBeGreaterThan(0)
})

test.runIf(process.getuid?.() === 0)('a user who may not open the socket is told how to be allowed to', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [join(import.meta.dirname, 'connect-as-nobody.mjs')])
  expect(JSON.parse(stdout)).toMatchObject({
    code: 'ENGINE_NOT_PERMITTED',
    message: expect.stringContaining('EACCES'),
    remedy: expect.stringMatching(/group docker.*run as root/),
  })
})
