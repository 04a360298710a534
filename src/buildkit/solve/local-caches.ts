import { mkdir } from 'node:fs/promises'
import type { Attachable } from '../session/attachable.ts'
import { contentStores } from '../session/content/content-stores.ts'
import { OciLayout, parseDescriptor } from '../session/content/oci-layout.ts'
import { CacheDirectoryError } from './errors.ts'
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
