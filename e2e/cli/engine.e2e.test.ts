// Engines that cannot be used: each an error with cause and remedy.
import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { expect, test } from 'vitest'
import { answerJson, goodInfo, startFakeEngine } from '../../fixtures/engine/fake-engine.ts'
import { type RunOptions, testkernels } from '../support/run.ts'

const NOBODY = 65_534
/** Only root starts programs as somebody else, who must be able to read ours. */
const asNobody = process.getuid?.() === 0 && isPublic(import.meta.dirname)

function isPublic(path: string): boolean {
  return (statSync(path).mode & 0o005) === 0o005 && (path === '/' || isPublic(dirname(path)))
}

async function failure(options: RunOptions): Promise<string> {
  await using run = await testkernels(['run', '--', 'true'], options)
  expect(await run.program.exit).toEqual({ code: 125, signal: null })
  expect(run.program.stdout).toBe('')
  expect(run.program.stderr).not.toMatch(/^ {4}at /m)
  return run.program.stderr
}

test('no engine', async () => {
  const stderr = await failure({ env: { DOCKER_HOST: 'unix:///nonexistent/docker.sock' } })
  expect(stderr).toMatch(
    /^error \[ENGINE_UNREACHABLE\]: no Docker engine answers at unix:\/\/\/nonexistent\/docker\.sock/,
  )
  expect(stderr).toMatch(/^ {2}cause: .*ENOENT/m)
  expect(stderr).toMatch(/^ {2}remedy: .*docker\.io/m)
})

test.runIf(asNobody)('a socket that this user may not open', async () => {
  const directories = { HOME: '/nonexistent', TESTKERNELS_RUN_DIR: '/tmp', TESTKERNELS_CACHE_DIR: '/nonexistent' }
  const stderr = await failure({ uid: NOBODY, env: directories })
  expect(stderr).toMatch(/^error \[ENGINE_NOT_PERMITTED\]: this user may not open/)
  expect(stderr).toMatch(/^ {2}cause: .*EACCES/m)
  expect(stderr).toMatch(/^ {2}remedy: .*group docker/m)
})

test('an engine that is too old', async () => {
  await using engine = await startFakeEngine(
    answerJson({ '/info': { ...goodInfo, ServerVersion: '19.03.15' } }, { apiVersion: '1.40' }),
  )
  const stderr = await failure({ env: { DOCKER_HOST: `unix://${engine.address.path}` } })
  expect(stderr).toMatch(/^error \[ENGINE_TOO_OLD\]: .*19\.03\.15/)
  expect(stderr).toMatch(/^ {2}remedy: .*20\.10/m)
  expect(engine.requests.filter((request) => !request.startsWith('GET'))).toEqual([])
})

test('sockets cannot be made where the path is too long', async () => {
  const stderr = await failure({ env: { TESTKERNELS_RUN_DIR: `/tmp/${'long/'.repeat(20)}` } })
  expect(stderr).toMatch(/^error \[DIRECTORY_UNUSABLE\]: .*too long a path\n {2}remedy: set TESTKERNELS_RUN_DIR/m)
})
