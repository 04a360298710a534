import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { replaceFile } from '../../files/index.ts'
import { contentStores } from '../session/content-stores.ts'
import type { Attachable } from '../session/services.ts'
import { CacheDirectoryError } from './failure.ts'
import type { CacheEntry, SolveRequest } from './request.ts'

/** What becomes of the caches of a solve that are directories of this machine. */
export interface LocalCaches {
  readonly request: Pick<SolveRequest, 'cacheImports' | 'cacheExports'>
  readonly attachables: readonly Attachable[]
  /** Gives what was exported its tag. Until then a cache that was there before is the one that is read. */
  record(exporterResponse: Readonly<Record<string, string>>): Promise<void>
}

/**
 * BuildKit reads and writes caches of `type=local` in the session of the solve, as content stores named after their directories
 * (cache/remotecache/local). Tags are ours to look up before, and to set afterwards. A directory that is not there yet, as in the
 * first run of a CI, is an empty cache.
 * @throws CacheDirectoryError
 */
export async function localCaches({
  cacheImports = [],
  cacheExports = [],
}: Pick<SolveRequest, 'cacheImports' | 'cacheExports'>): Promise<LocalCaches> {
  const exported = cacheExports.filter(isLocal).map((entry) => locationOf(entry, 'dest'))
  for (const { directory } of exported) await within(directory, () => mkdir(directory, { recursive: true }))
  const imports = (await Promise.all(cacheImports.map((entry) => (isLocal(entry) ? withDigest(entry) : entry)))).filter(
    (entry) => entry !== undefined,
  )
  const directories = [...exported, ...imports.filter(isLocal).map((entry) => locationOf(entry, 'src'))].map(
    ({ directory }) => [`local:${directory}`, directory] as const,
  )
  return {
    request: { cacheImports: imports, cacheExports },
    attachables: directories.length === 0 ? [] : [contentStores(new Map(directories))],
    record: async ({ 'cache.manifest': manifest }) => {
      // A graph without steps has nothing to keep.
      if (manifest === undefined) return
      for (const { directory, tag } of exported)
        await within(directory, () => new OciLayout(directory).put(parseDescriptor(manifest), tag))
    },
  }
}

function isLocal({ type }: CacheEntry): boolean {
  return type === 'local'
}

function locationOf(
  { attrs = {} }: CacheEntry,
  attr: 'src' | 'dest',
): { readonly directory: string; readonly tag: string } {
  const directory = attrs[attr]
  if (!directory) throw new TypeError(`a cache of type local needs ${attr}`)
  return { directory, tag: attrs['tag'] ?? 'latest' }
}

/** BuildKit asks for the manifest by its digest. */
async function withDigest(entry: CacheEntry): Promise<CacheEntry | undefined> {
  const { directory, tag } = locationOf(entry, 'src')
  const digest = entry.attrs?.['digest'] ?? (await within(directory, () => new OciLayout(directory).find(tag)))
  return digest === undefined ? undefined : { ...entry, attrs: { ...entry.attrs, digest } }
}

async function within<T>(directory: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw new CacheDirectoryError({
      what: `${directory} cannot be used as a build cache`,
      cause,
      remedy: 'name a directory that is writable, and empty or written by an earlier build',
    })
  }
}

/** https://github.com/opencontainers/image-spec/blob/main/annotations.md */
const REF_NAME = 'org.opencontainers.image.ref.name'

const descriptorSchema = v.looseObject({
  digest: v.string(),
  annotations: v.optional(v.record(v.string(), v.string())),
})
const indexSchema = v.looseObject({ manifests: v.array(descriptorSchema) })

/** What an index says of a manifest: media type, size and digest, and what else it likes to. */
export type Descriptor = v.InferOutput<typeof descriptorSchema>

/** @throws when `json` is no descriptor */
export function parseDescriptor(json: string): Descriptor {
  return v.parse(descriptorSchema, JSON.parse(json))
}

/** The index of a directory in OCI's image layout: which manifest has which tag. */
export class OciLayout {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  /** The digest of a tag; undefined where no such tag, or nothing at all, is. @throws when there is something else */
  async find(tag: string): Promise<string | undefined> {
    return (await this.#manifests()).find(isTagged(tag))?.digest
  }

  /** Gives a manifest the tag, which the one that had it loses. */
  async put(manifest: Descriptor, tag: string): Promise<void> {
    await mkdir(this.#directory, { recursive: true })
    const others = (await this.#manifests()).filter((other) => !isTagged(tag)(other))
    const tagged = { ...manifest, annotations: { ...manifest.annotations, [REF_NAME]: tag } }
    await this.#write('oci-layout', { imageLayoutVersion: '1.0.0' })
    await this.#write('index.json', {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [...others, tagged],
    })
  }

  async #manifests(): Promise<readonly Descriptor[]> {
    const text = await readFile(join(this.#directory, 'index.json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    return text === undefined ? [] : v.parse(indexSchema, JSON.parse(text)).manifests
  }

  /** Another build may be reading it. */
  async #write(name: string, content: unknown): Promise<void> {
    await replaceFile(join(this.#directory, name), JSON.stringify(content))
  }
}

function isTagged(tag: string): (descriptor: Descriptor) => boolean {
  return ({ annotations }) => annotations?.[REF_NAME] === tag
}
