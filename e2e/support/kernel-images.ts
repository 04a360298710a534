// Global setup of suites that take kernels out of images: one image for each layout that projects and distributions give theirs, made
// FROM scratch of Debian's kernels and of one that is built here. What it costs is in BuildKit's cache from the second time on.
import { join } from 'node:path'
import { type Architecture, architectureOf } from '../../src/arch/index.ts'
import { exporters, llb, type State } from '../../src/buildkit/index.ts'
import { debianMirror } from '../../src/image/index.ts'
import { markOurs } from '../../src/image/recipes/ingredient.ts'
import { sourceKernel } from '../../src/image/recipes/kernel/source.ts'
import { sources } from '../../src/image/recipes/sources.ts'
import { silentLogger } from '../../src/log/index.ts'
import { parseKernelEntry, readSettings, type SourceKernel } from '../../src/options/index.ts'
import { baseRef, connect } from '../buildkit/support.ts'
import { FUNCTIONS, type KernelImageSpec, type KernelTreeName, layouts } from './kernel-layouts.ts'
import { platform } from './platform.ts'

const arch = architectureOf('x86_64') as Architecture

/** The reference of an image by what it is called. */
export const kernelImage = (layout: string) => `testkernels-e2e/kernels:${layout}`

export default async function setup(): Promise<void> {
  await makeKernelImages(layouts)
}

/** @param images by what they are called: see `kernelImage` */
export async function makeKernelImages(images: Readonly<Record<string, KernelImageSpec>>): Promise<void> {
  await using buildkit = await connect()
  const trees = await kernelTrees()
  for (const [name, { of, script }] of Object.entries(images)) {
    const made = trees.tools
      .run({
        name: `[e2e] kernel image ${name}`,
        script: FUNCTIONS + script,
        mounts: [
          llb.bind('/in', trees[of]),
          llb.bind('/arch', sources(`kernel/${arch.name}`, { arch, only: ['kernel-image.sh'] }), { selector: '/src' }),
          llb.output('/out'),
        ],
      })
      .mountOutput('/out')
    await buildkit.solve({ definition: made.definition(), exporter: exporters.moby({ names: [kernelImage(name)] }) })
  }
}

/** What images are packed with, and the trees that they are made of. */
async function kernelTrees(): Promise<Readonly<Record<KernelTreeName | 'tools', State>>> {
  const tools = llb.image(baseRef(), { platform }).run({
    name: '[e2e] what kernels are packed with',
    script: 'apt-get update && apt-get install -y --no-install-recommends xz-utils zstd lz4',
  })
  const debian = (suite: string) =>
    tools
      .run({
        name: `[e2e] a kernel of ${suite}`,
        args: ['sh', '/src/fetch-debian.sh', suite, arch.kernel.debianFlavour],
        mounts: [
          llb.bind('/src', sources('kernel', { arch, only: ['fetch-debian.sh', 'debian-apt.sh'] }), {
            selector: '/src',
          }),
          llb.output('/out'),
        ],
      })
      .mountOutput('/out')
  const rhelLikeKernel = await builtKernel([rhelLike])
  const both = llb
    .scratch(platform)
    .file(
      llb
        .copy(rhelLikeKernel, '/', '/6.1', { contents: true })
        .copy(debian('trixie'), '/', '/6.12', { contents: true }),
      { name: '[e2e] two kernels' },
    )
  return {
    tools,
    bookworm: debian('bookworm'),
    source: await builtKernel([]),
    'rhel-like': rhelLikeKernel,
    'rhel-like and trixie': both,
  }
}

/** Compiled as that of an entry is, in BuildKit's cache as well. */
async function builtKernel(fragments: readonly string[]): Promise<State> {
  const settings = readSettings()
  const { kernelMirror, cacheDirectory } = settings
  const base = markOurs(llb.image(baseRef(), { platform }))
  const { reference } = parseKernelEntry('e2e', { kernel: { source: 'debian/bookworm', config: fragments } })
  const { state } = await sourceKernel(reference as SourceKernel, 'debian/bookworm', {
    arch,
    base,
    suite: 'trixie',
    debian: async () => base,
    mirror: await debianMirror(settings),
    kernelMirror,
    cacheDirectory,
    log: silentLogger,
    signal: new AbortController().signal,
  })
  return state
}

/** What a kernel of RHEL's has and has not, to be built from Debian's source. */
export const rhelLike = join(import.meta.dirname, '../../fixtures/kernels/rhel-like.config')
