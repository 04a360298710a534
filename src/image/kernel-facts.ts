import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exporters, llb, localDirs, registryAuth } from '../buildkit/index.ts'
import { type Engine, labelsOfImages } from '../engine/index.ts'
import type { KernelPlan } from './plan.ts'
import {
  formatKernelFacts,
  type KernelFacts,
  neededOptions,
  parseKernelConfig,
  parseKernelFacts,
} from './preflight/index.ts'
import type { VmImageRequest } from './request.ts'

/** On each image of a VM: the key of the kernel in it, and what is known of it. */
const KEY_LABEL = 'testkernels.kernel'
const FACTS_LABEL = 'testkernels.kernel.facts'

/**
 * What is known of a kernel: from the label of any image with it, whatever its rootfs, which takes the engine no more than a
 * question; else from the kernel itself, which is fetched or built for it and then there for the image.
 */
export async function kernelFacts(kernel: KernelPlan, request: VmImageRequest): Promise<KernelFacts> {
  return (await storedFacts(kernel, request.engine)) ?? (await solveFacts(kernel, request))
}

/** Labels for an image with this kernel. */
export function kernelLabels({ key }: KernelPlan, facts: KernelFacts): Record<string, string> {
  return { [KEY_LABEL]: key, [FACTS_LABEL]: formatKernelFacts(facts) }
}

async function storedFacts({ key }: KernelPlan, engine: Engine): Promise<KernelFacts | undefined> {
  const images = await labelsOfImages(engine, `${KEY_LABEL}=${key}`)
  return images.map((labels) => parseKernelFacts(labels[FACTS_LABEL] ?? '')).find((facts) => facts !== undefined)
}

/** The part of the graph that is the kernel, and of its result the few files that images/kernel/pack.sh made for this. */
async function solveFacts(kernel: KernelPlan, request: VmImageRequest): Promise<KernelFacts> {
  const facts = llb
    .scratch()
    .file(llb.copy(kernel.state, '/facts', '/', { contents: true }), { name: '[kernel] facts' })
  const directory = await mkdtemp(join(tmpdir(), 'testkernels-facts-'))
  try {
    await using buildkit = await request.connectBuildkit()
    await buildkit.solve({
      definition: facts.definition(),
      attachables: [localDirs(kernel.directories ?? {}), registryAuth({ configDir: request.dockerConfigDirectory })],
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
