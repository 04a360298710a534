import { readFile } from 'node:fs/promises'
import { type AptSource, readAptSources } from './apt-sources.ts'

export interface MirrorOptions {
  /** @default '/etc/apt' */
  readonly aptDirectory?: string
  /** @default '/etc/os-release' */
  readonly osReleaseFile?: string
}

/** Names of suites by which a source of Debian's own packages is told from another distribution's. */
const DEBIAN_SUITES =
  /^(oldoldstable|oldstable|stable|testing|unstable|sid|buster|bullseye|bookworm|trixie|forky|duke)$/
const DEBIAN_KEYRING = /debian-archive/

/**
 * The Debian archive that this machine installs its own packages from, as a URL without a slash at its end. `undefined` on
 * a machine that is not Debian, or whose apt has no source that can be Debian's.
 */
export async function aptMirror(options: MirrorOptions = {}): Promise<string | undefined> {
  const { aptDirectory = '/etc/apt', osReleaseFile = '/etc/os-release' } = options
  const osRelease = await readFile(osReleaseFile, 'utf8').catch(() => '')
  if (!/^ID="?debian"?$/m.test(osRelease)) return undefined
  const candidates = await Promise.all((await readAptSources(aptDirectory)).map(candidatesIn))
  const [best] = candidates.flat().toSorted((one, other) => other.likelihood - one.likelihood)
  return best?.uri
}

interface Candidate {
  readonly uri: string
  readonly likelihood: number
}

/** Sources of others have suites and components named like Debian's. What tells them apart is the key, then the path. */
async function candidatesIn({ uris, suites, components, signedBy }: AptSource): Promise<Candidate[]> {
  if (!components.includes('main') || !suites.some((suite) => DEBIAN_SUITES.test(suite))) return []
  if (signedBy !== undefined && !DEBIAN_KEYRING.test(signedBy)) return []
  const resolved = (await Promise.all(uris.map(resolveMirrorList))).flat()
  return resolved
    .filter((uri) => /^https?:\/\//.test(uri))
    .map((uri) => uri.replace(/\/+$/, ''))
    .map((uri) => ({ uri, likelihood: (signedBy === undefined ? 0 : 2) + (uri.endsWith('/debian') ? 1 : 0) }))
}

/** `mirror+file:/etc/apt/mirrors/debian.list`, as Debian's cloud images have it: a file with a URL on each line. */
async function resolveMirrorList(uri: string): Promise<readonly string[]> {
  const [, file] = /^mirror\+file:(?:\/\/)?(\/.+)$/.exec(uri) ?? []
  if (file === undefined) return [uri]
  const text = await readFile(file, 'utf8').catch(() => '')
  return text.split('\n').flatMap((line) => line.replace(/#.*/, '').trim().split(/\s+/).slice(0, 1))
}
