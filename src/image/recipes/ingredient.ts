import { createHash, type Hash } from 'node:crypto'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { type LocalDir, llb, type State } from '../../buildkit/graph.ts'
import type { Builder, Host, RegistryOptions } from '../../host/index.ts'
import type { Logger } from '../../log/index.ts'
import { ImageUnusableError } from '../errors.ts'

/** One part of an image's graph, and what the graph itself does not hold. */
export interface Ingredient {
  readonly state: State
  /**
   * Stands for content that the graph only names: files of this machine, a tag that may move. Part of the image's tag, so that
   * other content is another image. None for a graph that holds all its input.
   */
  readonly contentKey?: string
  /** The directories of this machine that the graph names with `llb.local`, by those names. */
  readonly directories?: Readonly<Record<string, LocalDir>>
}

/** An ingredient that is looked for by a key, which stands for all that goes in. */
export interface KeyedIngredient extends Ingredient {
  readonly key: string
}

export interface StoredImageContext {
  readonly host: Pick<Host, 'arch' | 'images'>
  readonly builder: Builder
  /** Directory of docker's config.json. */
  readonly dockerConfigDirectory: string
  readonly log: Logger
  readonly signal: AbortSignal
}

/**
 * The file system of an image: from the engine's store, else pulled. The tag may move, so its id is what counts; for a buildkitd,
 * which sees no store, the digest in the registry.
 * @throws ImagePullError; ImageUnusableError
 */
export async function storedImage(
  ref: string,
  { name, host, builder, dockerConfigDirectory, log, signal }: StoredImageContext & { readonly name: string },
): Promise<Ingredient> {
  const { platform } = host.arch
  const { images } = host
  if (builder.kind === 'buildkitd') {
    const contentKey = await remoteDigest(ref, { builder, dockerConfigDirectory, signal })
    return { state: llb.image(ref, { platform, name }), contentKey }
  }
  const credentials = registryCredentials(dockerConfigDirectory)
  const contentKey = (await images.inspect(ref))?.id ?? (await images.pull(ref, { credentials, log, signal }))
  return { state: llb.image(ref, { platform, name }), contentKey }
}

/** What `docker login` left in a directory, by the name of a registry. Read when it is asked for. */
export function registryCredentials(dockerConfigDirectory: string): NonNullable<RegistryOptions['credentials']> {
  return async (registry) => {
    const { credentialsFor } = await import('../../buildkit/index.ts')
    return await credentialsFor(registry, dockerConfigDirectory)
  }
}

interface RemoteDigestOptions {
  readonly builder: Builder
  readonly dockerConfigDirectory: string
  readonly signal: AbortSignal
}

/**
 * What the registry has under a name, as the builder sees it.
 * @throws ImageUnusableError
 */
async function remoteDigest(ref: string, options: RemoteDigestOptions): Promise<string> {
  const { builder, dockerConfigDirectory, signal } = options
  const { registryAuth } = await import('../../buildkit/index.ts')
  await using buildkit = await builder.connect()
  const image = await buildkit.remoteImage({
    ref,
    attachables: [registryAuth({ configDir: dockerConfigDirectory })],
    signal,
  })
  if (image !== undefined) return image.digest
  throw new ImageUnusableError({
    what: `the buildkitd of BUILDKIT_HOST cannot get the image ${ref}`,
    remedy:
      "push it to a registry that it can reach and log in with `docker login`; or unset BUILDKIT_HOST, because the engine's own BuildKit sees the engine's images",
  })
}

/**
 * Stands for the content of a file or a directory: names, sizes, times, modes and owners, which is what BuildKit's file sync
 * compares as well. No file is read.
 */
export async function contentKeyOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  await add(hash, path, '')
  return hash.digest('hex')
}

async function add(hash: Hash, root: string, below: string): Promise<void> {
  const path = join(root, below)
  const stats = await lstat(path, { bigint: true })
  const target = stats.isSymbolicLink() ? await readlink(path) : ''
  // A directory's own size and time change with what is in it, and say nothing more.
  const content = stats.isDirectory() ? [] : [stats.size, stats.mtimeNs]
  hash.update(`${JSON.stringify([below, stats.mode, stats.uid, stats.gid, ...content, target].map(String))}\n`)
  if (!stats.isDirectory()) return
  for (const name of (await readdir(path)).sort()) await add(hash, root, join(below, name))
}

/** In the command of each step of ours. */
export const BUILD_MARK = 'TESTKERNELS_BUILD=1'
/** What the names of the directories that we send begin with. */
export const NAME_MARK = 'testkernels-'

/**
 * Steps on this state can be told from the user's in the build cache: of each record BuildKit keeps the command that made it,
 * and nothing else that could say whose it is.
 */
export function markOurs(state: State): State {
  return state.prefix(['env', BUILD_MARK])
}
