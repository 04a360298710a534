import { type ArchivedKernel, compareVersions, type KernelList, newestOf, unknownVersion } from '../image/index.ts'
import { type DebianKernel, debianLabel, InvalidOptionError } from '../options/index.ts'
import { listKernels, type Preparation, readChangelog, type Session } from '../vm/image.ts'
import { linearHistory, type Subject } from './search.ts'

interface DebianCandidate {
  /** What `--kernel` takes: `debian:bookworm@6.1.172-1`. */
  readonly reference: string
  readonly kernel: ArchivedKernel
}

export interface DebianRange {
  readonly session: Session
  readonly good: DebianKernel
  readonly bad: DebianKernel
}

/**
 * The kernels from one version to another that the Debian archive has now, from the oldest to the newest: those of the two ends' suites.
 * @throws UnknownKernelError; InvalidOptionError where the good one is not the older; as `listKernels`
 */
export async function debianSubject({ session, good, bad }: DebianRange, preparation: Preparation): Promise<Subject> {
  if (good.flavour !== bad.flavour) {
    throw new InvalidOptionError({
      what: `debian:${debianLabel(good)} and debian:${debianLabel(bad)} are of two flavours, and no version is between them`,
      remedy: 'name two versions of one flavour, or the kernels in between with --between',
    })
  }
  const { flavour } = good
  const list = async (suite: string) => [suite, await listKernels({ session, suite, flavour }, preparation)] as const
  const suites = [...new Set([good.suite, bad.suite])]
  const lists = new Map(await Promise.all(suites.map(list)))
  const kernels = new Map(
    candidatesIn({ good, bad }, lists, session.settings).map((one) => [one.reference, one.kernel]),
  )
  return {
    history: linearHistory([...kernels.keys()]),
    referenceOf: async (reference) => reference,
    titleOf: async (reference) => reference,
    async logOf(first, lastGood) {
      const [kernel, since] = [kernels.get(first), kernels.get(lastGood)?.version]
      if (kernel === undefined || since === undefined) return ''
      return (await readChangelog({ session, kernel, since }, preparation)).trimEnd()
    },
  }
}

/** @param lists by suite */
export function candidatesIn(
  { good, bad }: Pick<DebianRange, 'good' | 'bad'>,
  lists: ReadonlyMap<string, KernelList>,
  archives: Parameters<typeof unknownVersion>[2],
): readonly DebianCandidate[] {
  const [oldest, newest] = [good, bad].map((end) => find(end, lists, archives).version) as [string, string]
  if (compareVersions(oldest, newest) >= 0) {
    throw new InvalidOptionError({
      what: `the good version ${oldest} is not older than the bad one, ${newest}`,
      remedy: 'swap the two; to find what repaired something, let the command fail where it is repaired',
    })
  }
  // Suites share kernels: of two with one version, that of the first suite is taken.
  const byVersion = new Map<string, DebianCandidate>()
  for (const [suite, { kernels }] of lists)
    for (const kernel of kernels)
      if (!byVersion.has(kernel.version))
        byVersion.set(kernel.version, {
          reference: `debian:${debianLabel({ ...good, suite, version: kernel.version })}`,
          kernel,
        })
  return [...byVersion.values()]
    .filter(({ kernel: { version } }) => compareVersions(oldest, version) <= 0 && compareVersions(version, newest) <= 0)
    .toSorted((one, other) => compareVersions(one.kernel.version, other.kernel.version))
}

function find(
  end: DebianKernel,
  lists: ReadonlyMap<string, KernelList>,
  archives: Parameters<typeof unknownVersion>[2],
): ArchivedKernel {
  const list = lists.get(end.suite) ?? { kernels: [], missing: [] }
  const found = end.version === undefined ? list.kernels.at(-1) : newestOf(end.version, list.kernels)
  if (found !== undefined) return found
  throw unknownVersion(end, list, archives)
}
