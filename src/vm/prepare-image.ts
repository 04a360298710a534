import {
  type CachePlan,
  debianMirror,
  ensureVmImage,
  type PreflightRequest,
  type Preload,
  preflight,
  preparePreload,
  storedVmImage,
  type VmImage,
} from '../image/index.ts'
import type { Logger } from '../log/index.ts'
import { type KernelEntry, kernelText } from '../options/index.ts'
import { builderOf } from './builder.ts'
import { buildkitOf, type Host } from './host.ts'
import type { Preparation } from './start.ts'

/** What is prepared for. */
export interface Wanted {
  readonly host: Host
  readonly entry: KernelEntry
  /** Build caches in addition to those that the environment names. */
  readonly cache?: Partial<CachePlan> | undefined
}

/** The image of an entry, from the engine's store or built. */
export async function prepareImage({ host, entry, cache = {} }: Wanted, preparation: Preparation): Promise<VmImage> {
  const { log, signal, onBuildStatus } = preparation
  return await ensureVmImage({
    engine: host.engine,
    builder: builderOf(host, { signal, log }),
    kernel: entry.reference,
    rootfs: entry.rootfsReference,
    init: entry.init,
    mirror: await debianMirror(host.settings.debianMirror),
    cache: {
      from: [...(cache.from ?? []), ...host.settings.cacheFrom],
      to: [...(cache.to ?? []), ...host.settings.cacheTo],
      solve: cache.solve ?? 'when missing',
    },
    kernelMirror: host.settings.kernelMirror,
    cacheDirectory: host.settings.cacheDirectory,
    dockerConfigDirectory: host.settings.dockerConfigDirectory,
    onKernel: (facts) => preflight(facts, preflightOf(host, entry, log)),
    onStatus: onBuildStatus,
    log,
    signal,
  })
}

/** The images that an entry wants in its guest, on this machine. */
export async function preparePreloads({ host, entry }: Wanted, preparation: Preparation): Promise<readonly Preload[]> {
  const { log, signal, onBuildStatus } = preparation
  const { dockerConfigDirectory } = host.settings
  const context = {
    engine: host.engine,
    // What it makes goes into the guest through the engine's store, and not into our graph.
    builder: { kind: 'engine', connect: () => buildkitOf(host, { signal, log }) } as const,
    credentials: async (registry: string) => {
      const { credentialsFor } = await import('../buildkit/index.ts')
      return await credentialsFor(registry, dockerConfigDirectory)
    },
    dockerConfigDirectory,
    onStatus: onBuildStatus,
    log,
    signal,
  }
  const preloads: Preload[] = []
  for (const reference of entry.preload) preloads.push(await preparePreload(reference, context))
  return preloads
}

/**
 * Takes an image that is there already, in place of the kernel that the entry names: it is checked against the entry as one
 * that was just built would be.
 * @returns its id
 * @throws ImageUnusableError; KernelUnsuitableError
 */
export async function takeImage(ref: string, { host, entry }: Wanted, { log }: Preparation): Promise<string> {
  const { id, kernel, init } = await storedVmImage(host.engine, ref)
  preflight(kernel, preflightOf(host, { ...entry, init }, log))
  return id
}

type Purpose = Pick<KernelEntry, 'name' | 'kernel' | 'cgroup' | 'controllers'> & {
  readonly init?: readonly string[] | undefined
}

function preflightOf({ engine }: Host, purpose: Purpose, log: Logger): PreflightRequest {
  const { name, kernel, cgroup, controllers, init } = purpose
  const runs = init === undefined ? 'dockerd' : 'command'
  return { entry: name, kernel: kernelText(kernel), arch: engine.arch, cgroup, controllers, runs, log }
}
