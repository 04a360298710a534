// The shell scripts in the workflow that docs/ci.md offers, run as they stand there.
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import Docker from 'dockerode'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { scratchDir } from '../../buildkit/support.ts'
import { canIsolate, startIsolatedEngine } from '../../support/isolated-engine.ts'
import { Program } from '../../support/program.ts'
import { testkernels } from '../../support/run.ts'
import { TemplateVolume } from '../../support/templates.ts'

interface Step {
  readonly name?: string
  readonly run?: string
}

const docs = join(import.meta.dirname, '../../../docs/ci')

/** The script of a step of the workflow, in a directory that the job works in. */
async function runStep(name: string, cwd: string, env: Record<string, string>): Promise<void> {
  const workflow = parse(await readFile(join(docs, 'github-actions.yml'), 'utf8'))
  const step = (workflow.jobs.kernels.steps as Step[]).find((one) => one.name === name)
  // As GitHub runs it.
  const argv = ['bash', '--noprofile', '--norc', '-eo', 'pipefail', '-c', step?.run ?? '']
  await using program = new Program(argv, { cwd, env: { ...process.env, ...env } })
  expect(await program.exit, program.stderr).toEqual({ code: 0, signal: null })
}

test.runIf(canIsolate)('images go into the cache and come out of it: nothing is built', async () => {
  await using job = await scratchDir()
  await using first = await startIsolatedEngine({ storageDriver: 'overlay2' })
  await copyImage(first.dockerHost)
  await runStep('Keep the images', job.path, { DOCKER_HOST: first.dockerHost })

  await using second = await startIsolatedEngine({ storageDriver: 'overlay2' })
  const env = { DOCKER_HOST: second.dockerHost }
  await runStep('Take the images from the cache', job.path, env)
  await using build = await testkernels(['build', '--kernel', 'debian:bookworm', '--progress', 'plain'], { env })
  expect(await build.program.exit, build.program.stderr).toEqual({ code: 0, signal: null })
  expect(build.program.stderr).not.toMatch(/^#\d+ /m)
})

test('saved VMs go into the cache and come out of it: none is made anew', async ({ annotate }) => {
  await using job = await scratchDir()
  const run = ['run', '--kernel', 'debian:bookworm', '--memory-mib', '512', '--', 'true']
  {
    await using volume = await TemplateVolume.create()
    const env = { TESTKERNELS_TEMPLATE_VOLUME: volume.name }
    await using making = await testkernels(run, { env })
    expect(await making.program.exit, making.program.stderr).toEqual({ code: 0, signal: null })
    await runStep('Keep the saved VMs', job.path, env)
  }
  const { size } = await stat(join(job.path, 'kernels/templates.tar.gz'))
  await annotate(`${Math.round(size / 2 ** 20)} MiB for a VM of 512 MiB`)

  await using volume = await TemplateVolume.create()
  const env = { TESTKERNELS_TEMPLATE_VOLUME: volume.name }
  await runStep('Take the saved VMs from the cache', job.path, env)
  await using restored = await testkernels(run, { env })
  expect(await restored.program.exit, restored.program.stderr).toEqual({ code: 0, signal: null })
  expect(restored.program.stderr).toMatch(/ready in .*restore/)
  expect(restored.program.stderr).not.toContain('making the template')
})

test('the job for GitLab runs what Vitest knows', async () => {
  const { kernels } = parse(await readFile(join(docs, 'gitlab-ci.yml'), 'utf8'))
  expect(kernels.script).toContain(
    'npx vitest run --reporter=default --reporter=testkernels/vitest/junit --outputFile.junit=junit.xml',
  )
  expect(kernels.artifacts.reports.junit).toBe('junit.xml')
})

/** The image of Debian's bookworm kernel, from the engine of this machine. */
async function copyImage(dockerHost: string): Promise<void> {
  await using build = await testkernels(['build', '--kernel', 'debian:bookworm'])
  expect(await build.program.exit).toEqual({ code: 0, signal: null })
  const id = build.program.stdout.trim()
  const { RepoTags } = await new Docker().getImage(id).inspect()
  const script = `docker save ${RepoTags.join(' ')} | DOCKER_HOST=${dockerHost} docker load`
  await using copy = new Program(['bash', '-eo', 'pipefail', '-c', script], { env: process.env })
  expect(await copy.exit, copy.stderr).toEqual({ code: 0, signal: null })
}
