import type { SolveStatus } from '../buildkit/progress/index.ts'
import { debianMirror, ensureVmImage, type PreflightRequest, preflight, type VmImage } from '../image/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'
import { type KernelEntry, kernelText } from '../options/index.ts'
import { buildkitOf, type Host } from './host.ts'

export interface PrepareOptions {
  readonly host: Host
  readonly entry: KernelEntry
  /** Takes the steps of an image's build. */
  readonly onBuildStatus?: (status: SolveStatus) => void
  readonly log?: Logger
  readonly signal?: AbortSignal
}

/** The image of an entry, from the engine's store or built. */
export async function prepareImage({
  host,
  entry,
  onBuildStatus,
  log = silentLogger,
  signal,
}: PrepareOptions): Promise<VmImage> {
  const working = signal ?? new AbortController().signal
  return await ensureVmImage({
    engine: host.engine,
    connectBuildkit: () => buildkitOf(host, { signal: working, log }),
    kernel: entry.reference,
    rootfs: entry.rootfsReference,
    init: entry.init,
    mirror: await debianMirror(host.settings.debianMirror),
    kernelMirror: host.settings.kernelMirror,
    cacheDirectory: host.settings.cacheDirectory,
    dockerConfigDirectory: host.settings.dockerConfigDirectory,
    onKernel: (facts) => preflight(facts, preflightOf(entry, log)),
    onStatus: onBuildStatus ?? (() => {}),
    log,
    signal: working,
  })
}

function preflightOf({ name, kernel, cgroup, controllers, init }: KernelEntry, log: Logger): PreflightRequest {
  const runs = init === undefined ? 'dockerd' : 'command'
  return { entry: name, kernel: kernelText(kernel), cgroup, controllers, runs, log }
}
