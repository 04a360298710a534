import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { type VitestOptions, vitest } from '../support/run.ts'

const noEngine = { env: { DOCKER_HOST: 'unix:///nonexistent/docker.sock' } }

const canMount = process.getuid?.() === 0 && spawnSync('unshare', ['--mount', 'true']).status === 0

/** The output of a run that fails before its first test. */
async function failure(config: string, options?: VitestOptions): Promise<string> {
  await using run = await vitest('vitest-faults', ['--config', `configs/${config}.config.ts`], options)
  expect(await run.program.exit).toEqual({ code: 1, signal: null })
  await run.gone()
  return run.program.stdout + run.program.stderr
}

test.each([
  { config: 'unknown-key', says: "[INVALID_OPTION]: one: unknown option 'memory'" },
  { config: 'unknown-kernel', says: "[UNKNOWN_KERNEL]: one: unknown kernel 'debian:potato'" },
  { config: 'duplicate-name', says: "[DUPLICATE_ENTRY]: two entries are named 'one'" },
])('a configuration with $config is one error, and nothing starts', async ({ config, says }) => {
  const output = await failure(config, noEngine)
  expect(output.split(says)).toHaveLength(2)
  expect(output.match(/remedy: /g)).toHaveLength(1)
  expect(output).not.toMatch(/^ +at /m)
  expect(output).not.toContain('starting')
})

test('no engine is one error, however many VMs want it', async () => {
  const output = await failure('boot-timeout', noEngine)
  expect(output.match(/\[ENGINE_UNREACHABLE\]: no Docker engine answers/g)).toHaveLength(1)
  expect(output.match(/remedy: /g)).toHaveLength(1)
  expect(output).not.toMatch(/^ +at /m)
})

test('a VM that does not come up is one error, however many want it, and ends them all', async () => {
  const output = await failure('boot-timeout')
  expect(output.match(/\[BOOT_TIMEOUT\]: one: the VM was not ready within 0\.001 s/g)).toHaveLength(1)
  expect(output.match(/remedy: /g)).toHaveLength(1)
  expect(output).not.toMatch(/^ +at /m)
})

test.runIf(canMount)('memory for one VM of two is one error, and ends them all', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tk-memory-'))
  try {
    // What this machine says, of which less is free.
    const meminfo = await readFile('/proc/meminfo', 'utf8')
    await writeFile(join(directory, 'meminfo'), meminfo.replace(/^(MemAvailable:).*$/m, '$1 99328 kB'))
    const short = 'mount --bind "$0/meminfo" /proc/meminfo && exec "$@"'
    const output = await failure('good', { under: ['unshare', '--mount', 'sh', '-c', short, directory] })
    expect(output).toContain('waiting for a VM to end: 97 MiB of memory are free, 128 are needed')
    expect(output).toMatch(/\[MEMORY_SHORT\]: (one|two): 97 MiB .* and the VM that runs gave none back/)
    expect(output.match(/remedy: /g)).toHaveLength(1)
  } finally {
    await rm(directory, { recursive: true })
  }
})
