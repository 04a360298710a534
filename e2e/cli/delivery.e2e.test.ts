// From `build` to where an image goes: names, registries, the next `run`.
import { randomBytes } from 'node:crypto'
import Docker from 'dockerode'
import { expect, test } from 'vitest'
import { baseImage } from '../support/env.ts'
import { startRegistry } from '../support/registry.ts'
import { shell, testkernels } from '../support/run.ts'

const docker = new Docker()
const bookworm = ['--kernel', 'debian:bookworm']

test('build pushes each of its names, and says what it pushed', async () => {
  await using registry = await startRegistry()
  const names = ['one', 'two'].map((name) => `${registry.host}/e2e/${name}:${randomBytes(4).toString('hex')}`)
  const tags = names.flatMap((name) => ['--tag', name])
  await using build = await testkernels(['build', ...bookworm, ...tags, '--push'])
  const { code } = await build.program.exit
  const images = await Promise.all(names.map((name) => docker.getImage(name).inspect()))
  for (const name of names) await docker.getImage(name).remove()
  expect(code).toBe(0)
  expect(images.map(({ Id }) => `${Id}\n`)).toEqual(names.map(() => build.program.stdout))
  expect(registry.tags.toSorted()).toEqual(names.map((name) => name.replace(`${registry.host}/`, '')).toSorted())
  for (const name of names) expect(build.program.stderr).toContain(`pushing ${name}`)
})

test('a registry that is not there is one error, and the image is built all the same', async () => {
  const name = `127.0.0.1:1/e2e/nowhere:${randomBytes(4).toString('hex')}`
  await using build = await testkernels(['build', ...bookworm, '--tag', name, '--push'])
  expect(await build.program.exit).toEqual({ code: 125, signal: null })
  await docker.getImage(name).remove()
  expect(build.program.stdout).toBe('')
  expect(build.program.stderr).toMatch(/^error \[IMAGE_PUSH_FAILED\]: the engine could not push 127\.0\.0\.1:1\//m)
})

test('run takes the image that build printed from standard input, with options of its own', async () => {
  await using build = await testkernels(['build', ...bookworm])
  expect(await build.program.exit).toEqual({ code: 0, signal: null })
  const info = ['docker', 'info', '--format', '{{.CgroupVersion}} {{.KernelVersion}}']
  await using run = await testkernels(['run', '--image', '-', '--cgroup', '1', '--', ...info])
  run.program.input(build.program.stdout)
  expect(await run.program.exit).toEqual({ code: 0, signal: null })
  expect(run.program.stdout).toMatch(/^1 6\.1\./)
})

test('a kernel is checked by what its image says of it', async () => {
  await using build = await testkernels(['build', '--kernel', 'debian:trixie'])
  expect(await build.program.exit).toEqual({ code: 0, signal: null })
  const image = build.program.stdout.trim()
  await using run = await testkernels(['run', '--image', image, '--cgroup', '1', '--', 'true'])
  expect(await run.program.exit).toEqual({ code: 125, signal: null })
  expect(run.program.stderr).toMatch(/^error \[KERNEL_UNSUITABLE\]: .*CONFIG_MEMCG_V1/m)
})

test.each([
  {
    what: 'an image that is not there',
    input: 'sha256:0000',
    says: /IMAGE_UNUSABLE.*the engine has no image sha256:0000/,
  },
  { what: 'an image that makes no VM', input: baseImage, says: /IMAGE_UNUSABLE.*is no image of a VM/ },
  { what: 'a build that failed', input: '', says: /INVALID_OPTION.*standard input names no image/ },
])('at the end of a pipe, run refuses $what', async ({ input, says }) => {
  await using run = await shell(`printf %s '${input}' | "$@" run`)
  expect(await run.program.exit).toEqual({ code: 125, signal: null })
  expect(run.program.stderr).toMatch(says)
})

test('a cache that the engine cannot write is refused before anything is built', async ({ skip }) => {
  const { DriverStatus } = await docker.info()
  if (JSON.stringify(DriverStatus).includes('io.containerd.snapshotter')) skip('this engine can')
  await using build = await testkernels(['build', ...bookworm, '--cache-to', 'type=local,dest=/nonexistent'])
  expect(await build.program.exit).toEqual({ code: 125, signal: null })
  expect(build.program.stderr).toMatch(/^error \[CACHE_UNSUPPORTED\]: .*type=local\n {2}remedy: use type=inline/)
})
