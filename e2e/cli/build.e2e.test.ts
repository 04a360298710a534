import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Docker from 'dockerode'
import { expect, test } from 'vitest'
import { startEngineRelay } from '../support/engine-relay.ts'
import { testkernels } from '../support/run.ts'

const docker = new Docker()
const STEP_DEADLINE_MS = 120_000

test('prints the id of the image and nothing else, tags it, and the second time solves nothing', async () => {
  const tag = `testkernels-e2e/kernel:${randomBytes(4).toString('hex')}`
  await using first = await testkernels(['build', '--kernel', 'debian:bookworm', '--tag', tag])
  expect(await first.program.exit).toEqual({ code: 0, signal: null })
  expect(first.program.stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/)
  const { Id } = await docker.getImage(tag).inspect()
  await docker.getImage(tag).remove()
  expect(first.program.stdout).toBe(`${Id}\n`)

  await using second = await testkernels(['build', '--kernel', 'debian:bookworm'])
  expect(await second.program.exit).toEqual({ code: 0, signal: null })
  expect(second.program).toMatchObject({ stdout: first.program.stdout, stderr: '' })
})

test("Ctrl-C during a build ends the engine's step", async ({ annotate }) => {
  // No such kernel, but that shows only after its suite was asked. The name is in the step's arguments.
  const flavour = `e2e-${randomBytes(8).toString('hex')}`
  await using run = await testkernels(['build', '--kernel', `debian:bookworm/${flavour}`])
  const { pid } = run.program
  await expect.poll(() => processesWith(flavour, pid), { timeout: STEP_DEADLINE_MS, interval: 50 }).not.toEqual([])
  run.program.kill('SIGINT')
  const start = performance.now()
  await expect.poll(() => processesWith(flavour, pid), { timeout: STEP_DEADLINE_MS, interval: 50 }).toEqual([])
  const ended = performance.now()
  expect(await run.program.exit).toEqual({ code: 130, signal: null })
  await annotate(
    `step ended after ${Math.round(ended - start)} ms, we after ${Math.round(performance.now() - start)} ms`,
  )
  expect(run.program.stdout).toBe('')
  expect(run.program.stderr).not.toContain('error [')
  const images = await docker.listImages({ filters: { reference: ['testkernels/vm'] } })
  expect(images.flatMap(({ RepoTags }) => RepoTags ?? []).filter((name) => name.includes(flavour))).toEqual([])
})

test('an engine that goes away during a build is one error, and nothing has a name', async () => {
  const flavour = `e2e-${randomBytes(8).toString('hex')}`
  const directory = await mkdtemp(join(tmpdir(), 'tk-relay-'))
  await using relay = await startEngineRelay(join(directory, 'engine.sock'), { socketPath: '/var/run/docker.sock' })
  await using run = await testkernels(['build', '--kernel', `debian:bookworm/${flavour}`], {
    env: { DOCKER_HOST: `unix://${relay.path}` },
  })
  const { pid } = run.program
  await expect.poll(() => processesWith(flavour, pid), { timeout: STEP_DEADLINE_MS, interval: 50 }).not.toEqual([])
  relay.cut()
  expect(await run.program.exit).toEqual({ code: 125, signal: null })
  await rm(directory, { recursive: true })
  expect(run.program.stdout).toBe('')
  expect(run.program.stderr.match(/^error \[/gm)).toHaveLength(1)
  expect(run.program.stderr).toMatch(/^error \[ENGINE_GONE\]: .*\n {2}cause: .*\n {2}remedy: /m)
  // The engine is there all the same, and has cancelled what nobody waits for.
  await expect.poll(() => processesWith(flavour, pid), { timeout: STEP_DEADLINE_MS, interval: 50 }).toEqual([])
  const images = await docker.listImages({ filters: { reference: ['testkernels/vm'] } })
  expect(images.flatMap(({ RepoTags }) => RepoTags ?? []).filter((name) => name.includes(flavour))).toEqual([])
})

test('a kernel that its suite does not have is an error that quotes the step', async () => {
  await using run = await testkernels(['build', '--kernel', 'debian:bookworm/no-such-flavour'])
  expect(await run.program.exit).toEqual({ code: 125, signal: null })
  expect(run.program.stdout).toBe('')
  expect(run.program.stderr).toContain('suite bookworm has no kernel package linux-image-no-such-flavour')
  expect(run.program.stderr).toMatch(/^error \[\w+\]: /m)
  expect(run.program.stderr).not.toMatch(/^ {4}at /m)
})

/** Processes of this machine, the engine's build steps among them, that have `text` among their arguments. */
function processesWith(text: string, exceptPid: number): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== exceptPid)
    .filter((name) => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(text)
      } catch {
        return false
      }
    })
}
