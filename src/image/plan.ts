import { createHash } from 'node:crypto'
import type { Architecture } from '../arch/index.ts'
import { type Definition, type ImageConfig, type LocalDir, llb, type State } from '../buildkit/graph.ts'
import { kernelLabel } from '../options/index.ts'
import { imagePaths, standaloneArguments } from '../qemu/index.ts'
import { ensureBaseImage, officialBaseImage } from './base/base-image.ts'
import { vmLabels } from './labels.ts'
import { chooseDrivers, type Drivers } from './preflight/drivers.ts'
import { hasOption, type KernelFacts } from './preflight/kernel-facts.ts'
import { neededOptions } from './preflight/needs.ts'
import { type Ingredient, type KeyedIngredient, markOurs, registryCredentials } from './recipes/ingredient.ts'
import { kernel } from './recipes/kernel/index.ts'
import { rootfs, rootfsFacts } from './recipes/rootfs.ts'
import { tools } from './recipes/tools.ts'
import { BASE_SUITE, vmImage } from './recipes/vm-image.ts'
import type { BuildContext, VmImageRequest } from './request.ts'

export interface ImagePlan {
  readonly ref: string
  readonly definition: Definition
  readonly config: ImageConfig
  readonly directories: Readonly<Record<string, LocalDir>>
  /** Where something has to be known of the rootfs: no dockerd is configured in those that we make, and who has a command needs none. */
  readonly rootfsFacts: Ingredient | undefined
  /** Whether the image has the debug information of its kernel. */
  readonly debugInfo: true | undefined
}

/** What the images of all kernels start with. */
function configFor(arch: Architecture, { transport, generation, scratch }: Drivers): ImageConfig {
  return {
    platform: arch.platform,
    entrypoint: [imagePaths.entrypoint],
    // For `docker run IMAGE`; a VM of ours has a command of its own.
    cmd: standaloneArguments({ arch, transport, generation }),
    // For images/runner/supervise, which makes that disk.
    env: { TESTKERNELS_SCRATCH: scratch },
    labels: vmLabels,
  }
}

/** Plans the kernel, and then the image with it: nothing is done for the rootfs when the kernel turns out to be unsuitable. */
export async function planKernel(request: VmImageRequest) {
  const { mirror } = request
  const { arch } = request.host
  const baseRef = await baseImage(BASE_SUITE, request)
  const base = async (suite: string) => (suite === BASE_SUITE ? baseRef : await baseImage(suite, request))
  const from = stateOf(baseRef, request)
  const withTools = tools(from, { mirror, suite: BASE_SUITE })
  const ingredient = await kernel(request.kernel, {
    ...request,
    arch,
    base: from,
    tools: withTools,
    suite: BASE_SUITE,
    debian: async (suite) => stateOf(await base(suite), request),
  })
  const planned: KeyedIngredient = { ...ingredient, key: keyOf(arch, ingredient) }
  const planImage = async (facts: KernelFacts): Promise<ImagePlan> => {
    const drivers = chooseDrivers(facts, { arch, machine: request.machine })
    const context = { ...request, tools: withTools, base }
    const debugInfo = hasOption(facts, 'DEBUG_INFO') ? ingredient.debugInfo : undefined
    const root = await rootfs(request.rootfs, context)
    const image = vmImage({
      arch,
      base: from,
      tools: withTools,
      mirror,
      kernel: ingredient,
      drivers,
      rootfs: root,
      init: request.init,
      debugInfo,
    })
    // What a tag may have of a label that people read.
    const name = kernelLabel(request.kernel)
      .replaceAll(/^[^A-Za-z0-9]+|[^A-Za-z0-9_.-]+/g, '-')
      .slice(0, 64)
    const config = configFor(arch, drivers)
    const ref = `testkernels/vm:${name}-${keyOf(arch, image, config).slice(0, 16)}`
    const isUnknown = request.init === 'systemd' || (request.rootfs.kind !== 'debian' && request.init === 'testkernels')
    return {
      ref,
      definition: image.state.definition(),
      config,
      directories: image.directories ?? {},
      rootfsFacts: isUnknown ? rootfsFacts(root, withTools) : undefined,
      debugInfo: debugInfo && true,
    }
  }
  return { kernel: planned, planImage }
}

async function baseImage(suite: string, context: BuildContext): Promise<string> {
  const { host, builder, mirror, dockerConfigDirectory, log, signal } = context
  // A buildkitd sees no image of the engine; it pulls the official one itself.
  if (builder.kind === 'buildkitd') return officialBaseImage(suite)
  const credentials = registryCredentials(dockerConfigDirectory)
  return (await ensureBaseImage({ host, suite, mirror, credentials, signal, log })).ref
}

/** What steps of ours begin on: a Debian of `BASE_SUITE`. */
export async function baseState(context: BuildContext): Promise<State> {
  return stateOf(await baseImage(BASE_SUITE, context), context)
}

function stateOf(ref: string, { host }: BuildContext): State {
  return markOurs(llb.image(ref, { platform: host.arch.platform, name: `[base] ${ref}` }))
}

/**
 * Stands for the graph, for content that it only names, and for what becomes of it. The options that a kernel is asked for
 * are part of it, because an image has a label with them: see `findKernelFacts`.
 */
function keyOf(arch: Architecture, { state, contentKey }: Ingredient, more?: unknown): string {
  const input = [state.definition().digest, contentKey, more, ...neededOptions(arch)]
  return createHash('sha256').update(JSON.stringify(input)).digest('hex')
}
