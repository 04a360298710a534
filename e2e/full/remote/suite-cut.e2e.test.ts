// An engine elsewhere that is lost in the middle of a suite, and is back: the file whose VM it was fails with the reason, the next one has a VM.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startRemoteEngine } from '../../support/remote-engine.ts'
import { vitest } from '../../support/run.ts'

const BOOT_DEADLINE_MS = 300_000

test('a test file that the engine is cut off from fails with the reason, and the next one passes', async () => {
  await using remote = await startRemoteEngine()
  const directory = await mkdtemp(join(tmpdir(), 'tk-cut-'))
  try {
    const env = { ...remote.environment, MARK: join(directory, 'cut') }
    await using run = await vitest('vitest-faults', ['--config', 'configs/cut.config.ts'], { env })
    await run.program.printed('stdout', /waiting to be cut off/, BOOT_DEADLINE_MS)
    remote.cut()
    expect(await run.program.exit).toEqual({ code: 1, signal: null })
    const { stdout, stderr } = run.program
    expect(stdout).toMatch(/^ Test Files +1 failed \| 1 passed \(2\)$/m)
    expect(stdout).toMatch(/^ +Tests +2 failed \| 2 passed \(4\)$/m)
    expect(stderr).toMatch(/^ FAIL .*> is under way when the engine is lost$/m)
    expect(stderr).toMatch(/^ FAIL .*> comes after the loss$/m)
    expect(stderr).toMatch(/^VmDiedError \[VM_DIED\]: far: the VM ended/m)
    await run.gone()
  } finally {
    await rm(directory, { recursive: true })
  }
})
