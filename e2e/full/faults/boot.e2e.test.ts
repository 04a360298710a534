import { readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import Docker from 'dockerode'
import { expect, test } from 'vitest'
import { cacheDirectory, testkernels } from '../../support/run.ts'

const docker = new Docker()
const CONSOLE_DEADLINE_MS = 60_000

test('a boot that hangs ends at its deadline, with the tail of its console', async ({ annotate }) => {
  await using run = await testkernels([
    'run',
    '--name',
    'stuck',
    '--no-template',
    '--boot-timeout-ms',
    '30000',
    '--',
    'true',
  ])
  const qemus = await run.qemus()
  const console = () => {
    const name = readdirSync(consoles).find((file) => file.startsWith(`stuck-${run.program.pid}-`))
    return name === undefined ? '' : readFileSync(join(consoles, name), 'utf8')
  }
  const consoles = join(cacheDirectory, 'consoles')
  await expect.poll(console, { timeout: CONSOLE_DEADLINE_MS, interval: 20 }).toContain('Linux version')
  // A guest that stops for good, as one does whose clock is broken.
  const [container = ''] = await run.containers()
  await docker.getContainer(container).pause()

  expect(await run.program.exit).toEqual({ code: 125, signal: null })
  const { stderr } = run.program
  expect(stderr).toMatch(/^error \[BOOT_TIMEOUT\]: stuck: the VM was not ready within 30 s; console at \S+$/m)
  expect(stderr).toMatch(/^ {2}remedy: .*--boot-timeout-ms/m)
  expect(stderr).toMatch(/^ {4}\| \[ +\d+\.\d+\] /m)
  await annotate(`nothing left after ${await run.gone(qemus)} ms`)
  await rm(/console at (\S+)$/m.exec(stderr)?.[1] ?? '')
})
