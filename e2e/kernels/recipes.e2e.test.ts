// Kernels from Dockerfiles: the recipes of docs/kernels, on an image that stands in for those of the distributions, because no registry is
// needed here. What it shows is that a recipe is a Dockerfile, asks its package manager for what the stand-in knows, and leaves a kernel
// where it is found; not that the packages are called so.

import { readdirSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Docker from 'dockerode'
import { KernelVm } from 'testkernels'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseVmLabels } from '../../src/image/index.ts'
import { silentLogger } from '../../src/log/index.ts'
import {
  type DockerfileOptions,
  type DockerfileReference,
  parseKernelEntry,
  readSettings,
} from '../../src/options/index.ts'
import { openSession, prepareImage, type Session } from '../../src/vm/image.ts'
import { unique } from '../buildkit/support.ts'
import { baseImage } from '../support/env.ts'
import { blocksOf } from '../support/pages.ts'
import { testkernels } from '../support/run.ts'

const root = join(import.meta.dirname, '../..')
const recipes = join(root, 'docs/kernels')
const fixture = join(root, 'fixtures/kernel-recipes/Dockerfile')
const standIn = `testkernels-e2e/distribution:${unique()}`
const docker = new Docker()
const made: string[] = [standIn]
let directory: string
/** Of other runs. */
let former: readonly string[]
let session: Session
/** That of the kernel in the stand-in. */
let release: string

/** Those that are made of Dockerfiles, before they are packed. */
async function kernelImages(): Promise<readonly string[]> {
  const images = await docker.listImages({ filters: { reference: ['testkernels/kernel'] } })
  return images.flatMap(({ RepoTags }) => RepoTags ?? [])
}

/** The image of an entry with this kernel, and what is known of it. */
async function imageOf(kernel: DockerfileOptions) {
  const entry = parseKernelEntry('recipe', { kernel, controllers: 'partial' })
  const { signal } = new AbortController()
  const { ref } = await prepareImage({ session, entry }, { log: silentLogger, signal })
  made.push(ref)
  const image = await session.host.images.inspect(ref)
  return parseVmLabels(image?.labels ?? {})?.kernel
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-recipes-'))
  former = await kernelImages()
  session = await openSession({ settings: readSettings(), log: silentLogger })
  const { buildDockerfile } = await import('../../src/image/recipes/dockerfile.ts')
  const { signal } = new AbortController()
  const dockerfile: DockerfileReference = {
    ...{ kind: 'dockerfile' as const, dockerfile: fixture, context: join(fixture, '..') },
    ...{ buildArgs: { BASE: baseImage }, target: undefined, secretFiles: {} },
  }
  const { host, settings } = session
  const builder = host.builder({ signal, log: silentLogger })
  const context = { host, builder, onStatus: () => {}, dockerConfigDirectory: settings.dockerConfigDirectory, signal }
  await buildDockerfile(dockerfile, { ...context, ref: standIn, labels: {} })
  const facts = await imageOf({ dockerfile: fixture, target: 'kernel', buildArgs: { BASE: baseImage } })
  release = facts?.release ?? expect.fail('the fixture has no kernel')
})

afterAll(async () => {
  await rm(directory, { recursive: true })
  made.push(...(await kernelImages()).filter((ref) => !former.includes(ref)))
  for (const ref of new Set(made)) await docker.getImage(ref).remove({ force: true })
})

/** By recipe, the build arguments of each of its uses. */
const USES: Readonly<Record<string, readonly Record<string, string>[]>> = {
  'amazon-linux-2.Dockerfile': [{}, { EXTRA: 'kernel-5.10' }],
  'arch.Dockerfile': [{}, { PACKAGE: 'linux-lts' }],
  'dnf.Dockerfile': [
    {},
    { PACKAGES: 'kernel' },
    { PACKAGES: 'kernel6.12' },
    { PACKAGES: 'kernel-uek' },
    { PACKAGES: 'kernel-uek-core kernel-uek-modules' },
  ],
  'opensuse.Dockerfile': [{}],
  'ubuntu-mainline.Dockerfile': [{ URL: 'https://mainline.example.org/v6.12/amd64' }],
  'ubuntu.Dockerfile': [{}, { PACKAGE: 'linux-image-virtual-hwe-24.04' }],
}

test('no recipe is left out', () => {
  expect(readdirSync(recipes).toSorted()).toEqual(Object.keys(USES))
})

const uses = Object.entries(USES).flatMap(([recipe, all]) => all.map((buildArgs) => ({ recipe, buildArgs })))

describe.each(uses)('$recipe with $buildArgs', ({ recipe, buildArgs }) => {
  test('leaves a kernel with its modules', async () => {
    const dockerfile = join(recipes, recipe)
    const facts = await imageOf({ dockerfile, buildArgs: { IMAGE: standIn, ...buildArgs } })
    expect(facts).toMatchObject({ release, modules: 'present' })
  })
})

test('so do the two lines of the page', async () => {
  const [block, ...others] = blocksOf('docs/kernels.md').filter(({ language }) => language === 'dockerfile')
  expect({ others, lines: block?.text.trimEnd().split('\n').length }).toEqual({ others: [], lines: 2 })
  const dockerfile = join(directory, 'page.Dockerfile')
  await writeFile(dockerfile, block?.text.replace(/^FROM \S+/, `FROM ${standIn}`) ?? '')
  expect(await imageOf({ dockerfile })).toMatchObject({ release, modules: 'present' })
})

test('a step that asks for a secret of the entry has it', async () => {
  const dockerfile = join(directory, 'secret.Dockerfile')
  const token = join(directory, 'token')
  await writeFile(token, unique())
  const step = `grep -q ${await readFile(token, 'utf8')} /run/secrets/token && dnf install -y kernel-core kernel-modules`
  await writeFile(dockerfile, `FROM ${standIn}\nRUN --mount=type=secret,id=token ${step}\n`)
  expect(await imageOf({ dockerfile, secretFiles: { token } })).toMatchObject({ release, modules: 'present' })
})

test('a guest runs the kernel of a Dockerfile, and so do its forks', async () => {
  const kernel = { dockerfile: fixture, target: 'kernel', buildArgs: { BASE: baseImage } }
  await using first = await new KernelVm({ kernel, memoryMib: 1024 }).start()
  await using second = await first.fork()
  for (const vm of [first, second]) {
    const { stdout } = await vm.exec(['sh', '-c', 'uname -r; modprobe dummy && grep -o "^dummy" /proc/modules'])
    expect(stdout).toBe(`${release}\ndummy\n`)
  }
})

test('a Dockerfile that installs no kernel is told so, and what fails in one is shown', async () => {
  const build = async (text: string) => {
    await writeFile(join(directory, 'Dockerfile'), text)
    await using run = await testkernels(['build', '--kernel', `dockerfile:${join(directory, 'Dockerfile')}`])
    const { code } = await run.program.exit
    return { code, stderr: run.program.stderr }
  }
  const none = await build(`FROM ${baseImage}\nRUN echo ${unique()}\n`)
  expect(none.code).toBe(125)
  expect(none.stderr).toMatch(/error \[SOLVE_FAILED\][\s\S]*no kernel there/)
  const failing = await build(`FROM ${baseImage}\nRUN echo ${unique()} && apt-get install -y no-such-kernel\n`)
  expect(failing.code).toBe(125)
  expect(failing.stderr).toMatch(/error \[SOLVE_FAILED\][\s\S]*no-such-kernel/)
})
