// Whoever may use the engine may use VMs: nothing of ours needs root.
import { spawnSync } from 'node:child_process'
import { chownSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Run, testkernels } from '../support/run.ts'
import { engineGid, isPublic, isRoot, NOBODY } from '../support/users.ts'

/** Only root starts programs as somebody else, who must be able to read ours. */
const asNobody = isRoot && engineGid !== 0 && isPublic(import.meta.dirname)

test.runIf(asNobody)('a user of the engine who is not root has a VM', async () => {
  const home = await mkdtemp(join(tmpdir(), 'tk-nobody-'))
  try {
    chownSync(home, NOBODY, engineGid)
    const env = { HOME: home, TESTKERNELS_RUN_DIR: home, TESTKERNELS_CACHE_DIR: join(home, 'cache') }
    const argv = ['run', '--kernel', 'debian:bookworm', '--', 'docker', 'info', '--format', '{{.KernelVersion}}']
    await using run = await testkernels(argv, { uid: NOBODY, gid: engineGid, env })
    expect(await run.program.exit).toEqual({ code: 0, signal: null })
    expect(run.program.stdout).toMatch(/^6\.1\./)
    await run.gone()
  } finally {
    await rm(home, { recursive: true })
  }
})

const canBeRootOfNobody = isRoot && spawnSync('unshare', ['--user', '--map-root-user', 'true']).status === 0

test.runIf(canBeRootOfNobody)('root of a user namespace without other users has a VM', async () => {
  const main = join(import.meta.dirname, '../../dist/cli/main.js')
  const argv = [process.execPath, main, 'run', '--kernel', 'debian:bookworm', '--', 'docker', 'info']
  await using run = await Run.start(['unshare', '--user', '--map-root-user', ...argv])
  expect(await run.program.exit, run.program.stderr).toEqual({ code: 0, signal: null })
  await run.gone()
})
