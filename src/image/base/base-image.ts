import { createHash } from 'node:crypto'
import { reasonOf, TestkernelsError } from '../../errors/index.ts'
import { type Host, type Images, imageLabels, type RegistryOptions } from '../../host/index.ts'
import { neverAborted } from '../../lifetime/index.ts'
import { type Logger, silentLogger } from '../../log/index.ts'
import { bootstrap } from './bootstrap.ts'
import { type DebianMirror, debianMirror } from './debian-mirror.ts'

/** There is no image to build on: the engine has none, could not pull one, and none could be made. */
export class BaseImageUnavailableError extends TestkernelsError {
  readonly code = 'BASE_IMAGE_UNAVAILABLE'
}

export interface BaseImageOptions {
  readonly host: Pick<Host, 'arch' | 'images' | 'lock'>
  /** Debian suite, such as `trixie`. */
  readonly suite: string
  /** The Debian archive to make the image from. @default that of this machine's apt configuration */
  readonly mirror?: DebianMirror | undefined
  /** For the pull. @default anonymous */
  readonly credentials?: RegistryOptions['credentials'] | undefined
  readonly signal?: AbortSignal | undefined
  readonly log?: Logger | undefined
}

export interface BaseImage {
  readonly ref: string
  readonly id: string
  readonly origin: 'engine' | 'pulled' | 'bootstrapped'
}

/** Names the archive that an image was made from; by its digest, because it may be nobody's business. */
const MIRROR_LABEL = 'testkernels.mirror'

/** The one that registries have. */
export function officialBaseImage(suite: string): string {
  return `debian:${suite}-slim`
}

/** The names that a base image of `suite` can have in the engine's store, in order of preference. */
export function baseImageRefs(suite: string): readonly [official: string, bootstrapped: string] {
  return [officialBaseImage(suite), `testkernels/base:${suite}`]
}

/**
 * A minimal Debian in the engine's store: the official image or one made earlier, if there; else the official one pulled;
 * else one made from a Debian archive, whose apt installs from that archive.
 * @throws BaseImageUnavailableError
 */
export async function ensureBaseImage(options: BaseImageOptions): Promise<BaseImage> {
  const { host, suite, signal, log = silentLogger } = options
  const { images } = host
  const mirror = options.mirror ?? (await debianMirror())
  const stored = await findStored(images, suite, mirror)
  if (stored !== undefined) return stored

  const what = `base image of Debian ${suite}`
  await using _lock = await host.lock(`base/${suite}`, { what, log, signal: signal ?? neverAborted() })
  const storedMeanwhile = await findStored(images, suite, mirror)
  if (storedMeanwhile !== undefined) return storedMeanwhile

  const [official, ref] = baseImageRefs(suite)
  let notPulled: unknown
  try {
    log.info(`pulling ${official}`)
    const { credentials } = options
    const id = await images.pull(official, {
      log,
      ...(signal && { signal }),
      ...(credentials && { credentials }),
    })
    return { ref: official, id, origin: 'pulled' }
  } catch (error) {
    signal?.throwIfAborted()
    notPulled = error
    log.info(`${official} cannot be pulled: ${firstReason(error)}`)
  }
  if (mirror === undefined) {
    throw unavailable(
      suite,
      notPulled,
      "no Debian archive is known: no mirror is given, and this machine's apt configuration names none",
    )
  }
  try {
    const labels = { ...imageLabels('base'), [MIRROR_LABEL]: digestOf(mirror) }
    const id = await bootstrap({ host, suite, mirror, ref, labels, signal, log })
    return { ref, id, origin: 'bootstrapped' }
  } catch (error) {
    signal?.throwIfAborted()
    throw unavailable(suite, notPulled, reasonOf(error))
  }
}

/** What `ensureBaseImage` would find in the engine's store, with the archive that it would use. */
export async function storedBaseImage(
  options: Pick<BaseImageOptions, 'suite' | 'mirror'> & { readonly host: Pick<Host, 'images'> },
): Promise<BaseImage | undefined> {
  const mirror = options.mirror ?? (await debianMirror())
  return await findStored(options.host.images, options.suite, mirror)
}

async function findStored(
  images: Images,
  suite: string,
  mirror: DebianMirror | undefined,
): Promise<BaseImage | undefined> {
  const [official, bootstrapped] = baseImageRefs(suite)
  const image = await images.inspect(official)
  if (image !== undefined) return { ref: official, id: image.id, origin: 'engine' }
  const own = await images.inspect(bootstrapped)
  // Made from another archive: its apt would ask that one.
  if (own === undefined || (mirror !== undefined && own.labels[MIRROR_LABEL] !== digestOf(mirror))) return undefined
  return { ref: bootstrapped, id: own.id, origin: 'bootstrapped' }
}

function unavailable(suite: string, notPulled: unknown, notBootstrapped: string): BaseImageUnavailableError {
  const [official] = baseImageRefs(suite)
  return new BaseImageUnavailableError({
    what: `there is no base image of Debian ${suite}; three ways were tried`,
    remedy: `give the engine ${official} (\`docker pull\` or \`docker load\`); or install mmdebstrap and set TESTKERNELS_DEBIAN_MIRROR to a Debian archive that can be reached`,
    output: [
      `engine's store: it has neither ${baseImageRefs(suite).join(' nor ')}`,
      `pull: ${firstReason(notPulled)}`,
      `bootstrap: ${notBootstrapped}`,
    ].join('\n'),
  })
}

/** The reason underneath, without the layers of "could not". */
function firstReason(error: unknown): string {
  return error instanceof Error && error.cause !== undefined ? firstReason(error.cause) : reasonOf(error).trim()
}

function digestOf({ url }: DebianMirror): string {
  return createHash('sha256').update(url).digest('hex').slice(0, 16)
}
