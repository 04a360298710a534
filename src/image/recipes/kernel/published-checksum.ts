import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { replaceFile } from '../../../files/index.ts'
import { startDeadline } from '../../../lifetime/index.ts'
import { KernelSourceUnavailableError } from './errors.ts'
import { checksumIn, type Tarball } from './kernel-org.ts'

const LIST_DEADLINE_MS = 30_000

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
  const onPassed = () => new Error(`no answer within ${LIST_DEADLINE_MS / 1000} s`)
  using deadline = startDeadline({ ms: LIST_DEADLINE_MS, onPassed, signal })
  try {
    const response = await fetch(checksumsUrl, { signal: deadline.signal })
    if (!response.ok) throw new Error(`HTTP ${response.status} ${response.statusText}`)
    return await response.text()
  } catch (thrown) {
    signal.throwIfAborted()
    throw new KernelSourceUnavailableError({
      what: `cannot learn the checksum of ${name} from ${checksumsUrl}`,
      cause: reasonOf(thrown),
      remedy:
        'set TESTKERNELS_KERNEL_MIRROR to a mirror of pub/linux/kernel that can be reached, give the sha256 with the version (#sha256=HEX), or build source:debian/SUITE or a tarball of yours',
    })
  }
}

/** `fetch` says no more than that it failed; why is in its cause. */
function reasonOf(thrown: unknown): unknown {
  return thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown
}
