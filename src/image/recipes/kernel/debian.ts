import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { llb, type State } from '../../../buildkit/graph.ts'
import { replaceFile } from '../../../files/index.ts'
import { type DebianKernel, debianLabel, UnknownKernelError } from '../../../options/index.ts'
import { aptAuth } from '../../base/debian-mirror.ts'
import type { BuildContext } from '../../request.ts'
import { sources } from '../sources.ts'
import {
  type ArchivedKernel,
  compareVersions,
  isTime,
  type KernelList,
  newestOf,
  Snapshots,
  unknownVersion,
} from './debian-versions.ts'
import { KernelSourceUnavailableError } from './kernel-org.ts'

export interface DebianKernelContext extends BuildContext {
  /** A Debian that apt runs in. */
  readonly base: State
}

/** The tree of a kernel of Debian's: `/boot` and `/lib/modules`, or `/usr/lib/modules` (images/kernel/fetch-debian.sh). */
export async function debianKernel(
  kernel: DebianKernel,
  context: DebianKernelContext & { readonly tools: State },
): Promise<State> {
  const { mirror, tools, host } = context
  const flavour = flavourOf(kernel, context)
  const pinned = kernel.version === undefined ? undefined : await pinnedKernel(kernel, context)
  const what = pinned?.packages[0] ?? `linux-image-${flavour}`
  const args = pinned
    ? [pinned.pocket, flavour, pinned.archive, pinned.version, ...pinned.packages]
    : [kernel.suite, flavour, ...(mirror === undefined ? [] : [mirror.url])]
  return tools
    .run({
      name: `[kernel ${debianLabel(kernel)}] fetch ${what}`,
      args: ['sh', '/src/fetch-debian.sh', ...args],
      mounts: [
        llb.bind('/src', sources('kernel', { arch: host.arch, only: ['fetch-debian.sh', 'debian-apt.sh'] }), {
          selector: '/src',
        }),
        ...aptAuth(mirror),
        llb.output('/out'),
      ],
    })
    .mountOutput('/out')
}

function flavourOf(
  { flavour }: { readonly flavour?: string | undefined },
  { host }: Pick<BuildContext, 'host'>,
): string {
  return flavour ?? host.arch.kernel.debianFlavour
}

/** Where kernels of a suite are: those of a stable release in parts, of which only the first has to be there. */
function pocketsOf(suite: string): readonly string[] {
  if (suite === 'sid' || suite.endsWith('-backports')) return [suite]
  return [suite, `${suite}-security`, `${suite}-updates`, `${suite}-proposed-updates`]
}

export interface ListOptions {
  readonly flavour?: string | undefined
  /** URLs of other archives than the mirror's. */
  readonly archives?: { readonly main: string; readonly security: string }
  /** @default those that a suite has */
  readonly pockets?: readonly string[]
}

/**
 * The kernels that an archive lists now; apt asks it, in a step of a build, as it does for what is installed.
 * @throws SolveError; KernelSourceUnavailableError where the suite, or none of the pockets that are asked for, can be read
 */
export async function listDebianKernels(
  suite: string,
  { flavour, archives, pockets }: ListOptions,
  context: DebianKernelContext,
): Promise<KernelList> {
  const { base, host, mirror } = context
  const asked = pockets ?? pocketsOf(suite)
  const only = ['list-debian.sh', 'list-kernels.awk', 'debian-apt.sh']
  const { main, security } = archives ?? { main: mirror?.url ?? '', security: mirror?.securityUrl ?? '' }
  const name = `[kernels] list those of ${suite}`
  const state = base
    .run({
      name,
      args: ['sh', '/src/list-debian.sh', flavourOf({ flavour }, context), main, security, ...asked],
      ignoreCache: true,
      mounts: [
        llb.bind('/src', sources('kernel', { arch: host.arch, only }), { selector: '/src' }),
        ...aptAuth(mirror),
        llb.output('/out'),
      ],
    })
    .mountOutput('/out')
  const { solveFiles } = await import('../../solve-facts.ts')
  const files = await solveFiles({ state, path: '/', name }, context)
  const list = parseKernelList(files.get('kernels') ?? '', files.get('missing') ?? '')
  const isUnreadable = pockets === undefined ? list.missing.includes(suite) : list.missing.length === asked.length
  if (!isUnreadable) return list
  throw new KernelSourceUnavailableError({
    what: `the suite ${suite} cannot be read from the Debian archive${main === '' ? '' : ` ${main}`}`,
    remedy:
      'set TESTKERNELS_DEBIAN_MIRROR to an archive that has it and can be reached; --progress plain shows what apt says',
  })
}

/** Reads what images/kernel/list-debian.sh tells. */
export function parseKernelList(kernels: string, missing: string): KernelList {
  const byVersion = new Map<string, ArchivedKernel>()
  for (const line of linesOf(kernels)) {
    const [pocket = '', archive = '', version = '', packages = ''] = line.split('\t')
    if (!byVersion.has(version)) byVersion.set(version, { pocket, archive, version, packages: packages.split(' ') })
  }
  const sorted = [...byVersion.values()].toSorted((one, other) => compareVersions(one.version, other.version))
  return { kernels: sorted, missing: linesOf(missing) }
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}

/**
 * What Debian's changelog says of a kernel, the newest entry first, down to that of a version where it has one
 * (images/kernel/debian-changelog.sh).
 * @throws SolveError
 */
export async function debianChangelog(
  { pocket, archive, version, packages: [image = ''] }: ArchivedKernel,
  since: string,
  context: DebianKernelContext,
): Promise<string> {
  const { base, host, mirror } = context
  const name = `[kernels] read the changelog of ${image} ${version}`
  const only = ['debian-changelog.sh', 'changelog.awk', 'debian-apt.sh']
  const state = base
    .run({
      name,
      args: ['sh', '/src/debian-changelog.sh', pocket, archive, version, image, since],
      mounts: [
        llb.bind('/src', sources('kernel', { arch: host.arch, only }), { selector: '/src' }),
        ...aptAuth(mirror),
        llb.output('/out'),
      ],
    })
    .mountOutput('/out')
  const { solveFiles } = await import('../../solve-facts.ts')
  return (await solveFiles({ state, path: '/', name }, context)).get('changelog') ?? ''
}

/** How long it holds which version a prefix means, in milliseconds. */
const PREFIX_KEPT_MS = 24 * 3_600_000

/**
 * The kernel of a version, remembered: what was built before needs no network to be found again.
 * @throws UnknownKernelError, with the nearest that there are
 */
async function pinnedKernel(kernel: DebianKernel, context: DebianKernelContext): Promise<ArchivedKernel> {
  const { mirror, debianSnapshots, cacheDirectory } = context
  const known = JSON.stringify([mirror?.url, mirror?.securityUrl, debianSnapshots, flavourOf(kernel, context), kernel])
  const file = join(cacheDirectory, 'debian-kernels', createHash('sha256').update(known).digest('hex'))
  const remembered = await remember(file, kernel)
  if (remembered !== undefined) return remembered
  const found = await findKernel(kernel, context)
  await mkdir(dirname(file), { recursive: true })
  await replaceFile(file, JSON.stringify({ ...found, foundMs: Date.now() }))
  context.log.info(`debian:${debianLabel(kernel)} is ${found.packages[0]} ${found.version}, of ${found.pocket}`)
  return found
}

async function remember(file: string, { version = '' }: DebianKernel): Promise<ArchivedKernel | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  const { foundMs, ...found } = JSON.parse(text) as ArchivedKernel & { readonly foundMs: number }
  const holds = found.version === version || isTime(version) || Date.now() - foundMs < PREFIX_KEPT_MS
  return holds ? found : undefined
}

async function findKernel(kernel: DebianKernel, context: DebianKernelContext): Promise<ArchivedKernel> {
  const { suite, version = '' } = kernel
  const flavour = flavourOf(kernel, context)
  const snapshots = snapshotsIn(context)
  if (isTime(version)) {
    if (snapshots === undefined) throw noSnapshots(kernel)
    const then = await listDebianKernels(suite, { flavour, archives: snapshots.archivesAt(version) }, context)
    const newest = then.kernels.at(-1)
    if (newest !== undefined) return newest
    throw unknownVersion(kernel, then, context)
  }
  const now = await listDebianKernels(suite, { flavour }, context)
  const found = newestOf(version, now.kernels) ?? (snapshots && (await findFormer(kernel, snapshots, context)))
  if (found !== undefined) return found
  throw unknownVersion(kernel, now, context)
}

function snapshotsIn({ debianSnapshots, host, signal }: BuildContext): Snapshots | undefined {
  return debianSnapshots === undefined ? undefined : new Snapshots(debianSnapshots, { arch: host.arch.name, signal })
}

/** One that the archive has no more. */
async function findFormer(
  kernel: DebianKernel,
  snapshots: Snapshots,
  context: DebianKernelContext,
): Promise<ArchivedKernel | undefined> {
  const { suite, version = '' } = kernel
  const flavour = flavourOf(kernel, context)
  const first = await snapshots.find(version, flavour)
  if (first === undefined) return undefined
  // Where it was first may have been the next release, before it was one.
  const pockets = first.archive === 'security' ? [`${suite}-security`] : [...pocketsOf(suite), 'sid']
  const archives = snapshots.archivesAt(first.time)
  const { kernels } = await listDebianKernels(suite, { flavour, pockets, archives }, context)
  return newestOf(first.version, kernels)
}

function noSnapshots(kernel: DebianKernel): UnknownKernelError {
  return new UnknownKernelError({
    what: `debian:${debianLabel(kernel)} names a time, which only Debian's archive of snapshots knows, and none is named`,
    remedy:
      'set TESTKERNELS_DEBIAN_SNAPSHOTS to its address, or name a version: `testkernels kernels` lists those that there are',
  })
}
