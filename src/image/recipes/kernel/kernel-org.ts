import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Readable } from 'node:stream'
import { TestkernelsError } from '../../../errors/index.ts'
import { replaceFile } from '../../../files/index.ts'
import { startDeadline } from '../../../lifetime/index.ts'
import { readText } from '../../../log/index.ts'

/** A tarball of a kernel's source, and where its checksum is published. */
interface Tarball {
  readonly name: string
  readonly url: string
  /** A list as `sha256sum` writes it; undefined where nobody publishes one. */
  readonly checksumsUrl: string | undefined
}

const KERNEL_ORG = 'https://cdn.kernel.org/pub/linux/kernel'
/** Release candidates are in no directory of kernel.org's: they are made on demand from the git tag. */
const CANDIDATES = 'https://git.kernel.org/torvalds/t'

/** `mirror` is laid out like kernel.org's `pub/linux/kernel`, with release candidates in `vX.x/testing`. */
export function tarballOf(version: string, mirror: string | undefined): Tarball {
  const directory = `${mirror ?? KERNEL_ORG}/v${version.split('.', 1)[0]}.x`
  if (!version.includes('-rc')) {
    const name = `linux-${version}.tar.xz`
    return { name, url: `${directory}/${name}`, checksumsUrl: `${directory}/sha256sums.asc` }
  }
  const name = `linux-${version}.tar.gz`
  if (mirror === undefined) return { name, url: `${CANDIDATES}/${name}`, checksumsUrl: undefined }
  return { name, url: `${directory}/testing/${name}`, checksumsUrl: `${directory}/testing/sha256sums.asc` }
}

/** The sha256 of a file in such a list, which may be in a PGP envelope. */
export function checksumIn(list: string, name: string): string | undefined {
  for (const line of list.split('\n')) {
    const [, sum, file] = /^([0-9a-f]{64}) [ *](\S+)\s*$/.exec(line) ?? []
    if (file === name) return sum
  }
  return undefined
}

const LIST_DEADLINE_MS = 30_000
/** kernel.org's longest has a tenth. */
const LIST_MAX_BYTES = 8 * 1024 * 1024

/** The source of a kernel cannot be had, or not be trusted. */
export class KernelSourceUnavailableError extends TestkernelsError {
  readonly code = 'KERNEL_SOURCE_UNAVAILABLE'
}

export interface PublishedChecksumOptions {
  readonly cacheDirectory: string
  readonly signal: AbortSignal
}

/**
 * The sha256 that the tarball's publisher gives. A release never changes, so it is asked for once: what was built before
 * needs no network to be found again.
 * @throws KernelSourceUnavailableError
 */
export async function publishedChecksum(
  tarball: Tarball & { readonly checksumsUrl: string },
  { cacheDirectory, signal }: PublishedChecksumOptions,
): Promise<string> {
  const file = join(cacheDirectory, 'kernel-checksums', createHash('sha256').update(tarball.url).digest('hex'))
  const remembered = await readFile(file, 'utf8').catch(() => '')
  if (/^[0-9a-f]{64}$/.test(remembered)) return remembered
  const sum = checksumIn(await download(tarball, signal), tarball.name)
  if (sum === undefined) {
    throw new KernelSourceUnavailableError({
      what: `there is no ${tarball.name} in ${tarball.checksumsUrl}`,
      remedy: 'check the version; kernel.org lists a release within hours',
    })
  }
  await mkdir(dirname(file), { recursive: true })
  await replaceFile(file, sum)
  return sum
}

async function download({ name, checksumsUrl }: Tarball & { checksumsUrl: string }, signal: AbortSignal) {
  try {
    const list = await fetchText(checksumsUrl, signal)
    if (list === undefined) throw new Error('HTTP 404')
    return list
  } catch (cause) {
    signal.throwIfAborted()
    throw new KernelSourceUnavailableError({
      what: `cannot learn the checksum of ${name} from ${checksumsUrl}`,
      cause,
      remedy:
        'set TESTKERNELS_KERNEL_MIRROR to a mirror of pub/linux/kernel that can be reached, give the sha256 with the version (#sha256=HEX), or build source:debian/SUITE or a tarball of yours',
    })
  }
}

/**
 * Something that a server publishes, as text; undefined where it has none.
 * @throws an Error with the reason
 */
export async function fetchText(url: string, signal: AbortSignal): Promise<string | undefined> {
  const onPassed = () => new Error(`no answer within ${LIST_DEADLINE_MS / 1000} s`)
  using deadline = startDeadline({ ms: LIST_DEADLINE_MS, onPassed, signal })
  try {
    const response = await fetch(url, { signal: deadline.signal })
    if (response.status === 404) {
      await response.body?.cancel()
      return undefined
    }
    if (!response.ok) throw new Error(`HTTP ${response.status} ${response.statusText}`)
    return await readText(Readable.from(response.body ?? []), { maxBytes: LIST_MAX_BYTES })
  } catch (thrown) {
    throw reasonOf(thrown)
  }
}

/** `fetch` says no more than that it failed; why is in its cause. */
function reasonOf(thrown: unknown): unknown {
  return thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown
}
