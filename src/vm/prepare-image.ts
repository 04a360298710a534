import type { Host } from '../host/index.ts'
import {
  type ArchivedKernel,
  type BuildContext,
  baseState,
  type CachePlan,
  checkRootfs,
  debianChangelog,
  debianMirror,
  ensureVmImage,
  findVmImage,
  type KernelList,
  listDebianKernels,
  type PreflightRequest,
  type Preload,
  preflight,
  preparePreload,
  storedVmImage,
  type VmImage,
  type VmImageRequest,
} from '../image/index.ts'
import type { Logger } from '../log/index.ts'
import { type KernelEntry, kernelText, looksForLeaks } from '../options/index.ts'
import type { Session } from './session.ts'
import type { Preparation } from './start.ts'

/** What is prepared for. */
export interface Wanted {
  readonly session: Session
  readonly entry: KernelEntry
  /** Build caches in addition to those that the environment names. */
  readonly cache?: Partial<CachePlan> | undefined
}

/** The image of an entry, from the engine's store or built. */
export async function prepareImage(wanted: Wanted, preparation: Preparation): Promise<VmImage> {
  return await ensureVmImage(await imageRequest(wanted, preparation))
}

/** The same image, if it is there: nothing is built. @returns its name */
export async function findImage(wanted: Wanted, preparation: Preparation): Promise<string | undefined> {
  return await findVmImage(await imageRequest(wanted, preparation))
}

async function imageRequest({ session, entry, cache = {} }: Wanted, preparation: Preparation): Promise<VmImageRequest> {
  return {
    ...(await buildContext({ session, cache }, preparation)),
    kernel: entry.reference,
    rootfs: entry.rootfsReference,
    machine: entry.machine,
    init: entry.init,
    onKernel: (facts) => preflight(facts, preflightOf(session.host, entry, preparation.log)),
    onRootfs: (facts) => checkRootfs(facts, { ...entry, entry: entry.name }),
  }
}

async function buildContext(
  { session, cache = {} }: Pick<Wanted, 'session' | 'cache'>,
  { log, signal }: Preparation,
): Promise<BuildContext> {
  const { host, settings, onBuildStatus } = session
  return {
    host,
    builder: host.builder({ signal, log }),
    mirror: await debianMirror(settings),
    debianSnapshots: settings.debianSnapshots,
    cache: {
      from: [...(cache.from ?? []), ...settings.cacheFrom],
      to: [...(cache.to ?? []), ...settings.cacheTo],
      solve: cache.solve ?? 'when missing',
    },
    kernelMirror: settings.kernelMirror,
    cacheDirectory: settings.cacheDirectory,
    dockerConfigDirectory: settings.dockerConfigDirectory,
    onStatus: onBuildStatus,
    log,
    signal,
  }
}

/** The kernels of a Debian suite that an entry can name by their version. @throws as `listDebianKernels` */
export async function listKernels(
  {
    session,
    suite,
    flavour,
  }: Pick<Wanted, 'session'> & { readonly suite: string; readonly flavour: string | undefined },
  preparation: Preparation,
): Promise<KernelList> {
  const context = await buildContext({ session }, preparation)
  return await listDebianKernels(suite, { flavour }, { ...context, base: await baseState(context) })
}

/** What changed in a kernel of Debian's since another version of it, as its changelog has it. @throws as `debianChangelog` */
export async function readChangelog(
  { session, kernel, since }: Pick<Wanted, 'session'> & { readonly kernel: ArchivedKernel; readonly since: string },
  preparation: Preparation,
): Promise<string> {
  const context = await buildContext({ session }, preparation)
  return await debianChangelog(kernel, since, { ...context, base: await baseState(context) })
}

/** The images that an entry wants in its guest, on this machine. */
export async function preparePreloads(
  { session, entry }: Wanted,
  preparation: Preparation,
): Promise<readonly Preload[]> {
  const { log, signal } = preparation
  const { host, settings, onBuildStatus } = session
  const context = {
    host,
    // What it makes goes into the guest through the engine's store, and not into our graph.
    builder: host.ownBuilder({ signal, log }),
    dockerConfigDirectory: settings.dockerConfigDirectory,
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
export async function takeImage(ref: string, { session, entry }: Wanted, { log }: Preparation): Promise<string> {
  const { host } = session
  const { id, kernel, init } = await storedVmImage(host.images, ref)
  preflight(kernel, preflightOf(host, { ...entry, init }, log))
  return id
}

type Purpose = Pick<
  KernelEntry,
  'name' | 'kernel' | 'machine' | 'cgroup' | 'controllers' | 'init' | 'mounts' | 'kernelReports'
>

function preflightOf({ arch }: Host, purpose: Purpose, log: Logger): PreflightRequest {
  const { name, kernel, machine, cgroup, controllers, init, mounts, kernelReports } = purpose
  const runs = typeof init === 'string' ? 'dockerd' : 'command'
  return {
    entry: name,
    kernel: kernelText(kernel),
    arch,
    machine,
    cgroup,
    controllers,
    runs,
    mounts: mounts.length > 0,
    kmemleak: looksForLeaks(kernelReports),
    log,
  }
}
