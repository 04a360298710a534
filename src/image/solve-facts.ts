import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exporters, llb, localDirs, registryAuth } from '../buildkit/index.ts'
import { KERNEL_LABEL, kernelFactsIn } from './labels.ts'
import type { KernelPlan } from './plan.ts'
import { type KernelFacts, neededOptions, parseKernelConfig } from './preflight/index.ts'
import type { VmImageRequest } from './request.ts'

/** From the label of an image with this kernel in a registry. */
export async function cachedFacts({ key }: KernelPlan, request: VmImageRequest): Promise<KernelFacts | undefined> {
  const refs = request.cache.from.filter(({ type }) => type === 'registry').map(({ attrs }) => attrs['ref'] ?? '')
  if (refs.length === 0) return undefined
  const attachables = [registryAuth({ configDir: request.dockerConfigDirectory })]
  await using buildkit = await request.builder.connect()
  const asked = refs.map((ref) => buildkit.remoteImage({ ref, attachables, signal: request.signal }))
  const images = await Promise.all(asked)
  return images
    .filter((image) => image?.labels[KERNEL_LABEL] === key)
    .map((image) => kernelFactsIn(image?.labels ?? {}))
    .find((facts) => facts !== undefined)
}

/** The part of the graph that is the kernel, and of its result the few files that images/kernel/pack.sh made for this. */
export async function solveFacts(kernel: KernelPlan, request: VmImageRequest): Promise<KernelFacts> {
  const facts = llb
    .scratch()
    .file(llb.copy(kernel.state, '/facts', '/', { contents: true }), { name: '[kernel] facts' })
  const directory = await mkdtemp(join(tmpdir(), 'testkernels-facts-'))
  try {
    await using buildkit = await request.builder.connect()
    await buildkit.solve({
      definition: facts.definition(),
      attachables: [localDirs(kernel.directories ?? {}), registryAuth({ configDir: request.dockerConfigDirectory })],
      cacheImports: request.cache.from,
      exporter: exporters.local({ directory }),
      onStatus: request.onStatus,
      signal: request.signal,
    })
    return await readFacts(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function readFacts(directory: string): Promise<KernelFacts> {
  const read = (name: string) => readFile(join(directory, name), 'utf8')
  const config = await read('config').catch(() => undefined)
  return {
    release: (await read('release')).trim(),
    modules: (await read('modules')).trim() === 'present' ? 'present' : 'absent',
    config: config === undefined ? undefined : parseKernelConfig(config, neededOptions),
  }
}
