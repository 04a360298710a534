import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface MirrorOptions {
  /** Which of Debian's two archives. @default 'main' */
  readonly archive?: 'main' | 'security'
  /** @default '/etc/apt' */
  readonly aptDirectory?: string
  /** @default '/etc/os-release' */
  readonly osReleaseFile?: string
}

const NAMES = 'oldoldstable|oldstable|stable|testing|unstable|sid|buster|bullseye|bookworm|trixie|forky|duke'
/** Names of suites by which a source of Debian's own packages is told from another distribution's. */
const DEBIAN_SUITES = { main: new RegExp(`^(${NAMES})$`), security: new RegExp(`^(${NAMES})-security$`) }
const DEBIAN_KEYRING = /debian-archive/

/**
 * The Debian archive that this machine installs its own packages from, as a URL without a slash at its end. `undefined` on
 * a machine that is not Debian, or whose apt has no source that can be Debian's.
 */
export async function aptMirror(options: MirrorOptions = {}): Promise<string | undefined> {
  const { archive = 'main', aptDirectory = '/etc/apt', osReleaseFile = '/etc/os-release' } = options
  const osRelease = await readFile(osReleaseFile, 'utf8').catch(() => '')
  if (!/^ID="?debian"?$/m.test(osRelease)) return undefined
  const sources = await readAptSources(aptDirectory)
  const candidates = await Promise.all(sources.map((source) => candidatesIn(source, DEBIAN_SUITES[archive])))
  const [best] = candidates.flat().toSorted((one, other) => other.likelihood - one.likelihood)
  return best?.uri
}

interface Candidate {
  readonly uri: string
  readonly likelihood: number
}

/** Sources of others have suites and components named like Debian's. What tells them apart is the key, then the path. */
async function candidatesIn({ uris, suites, components, signedBy }: AptSource, wanted: RegExp): Promise<Candidate[]> {
  if (!components.includes('main') || !suites.some((suite) => wanted.test(suite))) return []
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

/** One entry of apt's configuration: packages of some suites and components from some places. */
interface AptSource {
  readonly uris: readonly string[]
  readonly suites: readonly string[]
  readonly components: readonly string[]
  /** Keyring, fingerprint or key that apt is told to trust for it. */
  readonly signedBy: string | undefined
}

/** Every enabled source of binary packages in `sources.list` and `sources.list.d`, in apt's order. */
async function readAptSources(aptDirectory: string): Promise<readonly AptSource[]> {
  const parts = join(aptDirectory, 'sources.list.d')
  const names = await readdir(parts).catch(() => [])
  const files = [join(aptDirectory, 'sources.list'), ...names.toSorted().map((name) => join(parts, name))]
  const sources = await Promise.all(
    files.map(async (file) => {
      if (file.endsWith('.list')) return parseOneLine(await readText(file))
      // apt ignores every other name, such as `lab.sources.disabled`.
      return file.endsWith('.sources') ? parseDeb822(await readText(file)) : []
    }),
  )
  return sources.flat()
}

/** `deb [signed-by=/x.gpg] http://mirror.example.org/debian trixie main` */
export function parseOneLine(text: string): readonly AptSource[] {
  return text.split('\n').flatMap((line) => {
    const [, options = '', rest = ''] = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?([^#]*)/.exec(line) ?? []
    const [uri, suite, ...components] = words(rest)
    if (uri === undefined || suite === undefined) return []
    const [, signedBy] = /(?:^|\s)signed-by=(\S+)/i.exec(options) ?? []
    return [{ uris: [uri], suites: [suite], components, signedBy }]
  })
}

/** Paragraphs of `Field: value` lines; a value goes on in the lines below that begin with a space. */
export function parseDeb822(text: string): readonly AptSource[] {
  return text
    .replace(/^#.*\n?/gm, '')
    .split(/\n\s*\n/)
    .flatMap((paragraph) => {
      const fields = new Map(
        [...paragraph.matchAll(/^([\w-]+):((?:.*)(?:\n[ \t].*)*)/gm)].map(([, name = '', value = '']) => [
          name.toLowerCase(),
          value.trim(),
        ]),
      )
      const list = (name: string) => words(fields.get(name) ?? '')
      if (!list('types').includes('deb') || /^(no|false|off|0|without|disable)$/i.test(fields.get('enabled') ?? ''))
        return []
      const [uris, suites, components] = [list('uris'), list('suites'), list('components')]
      return uris.length > 0 && suites.length > 0
        ? [{ uris, suites, components, signedBy: fields.get('signed-by') }]
        : []
    })
}

async function readText(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch(() => '')
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '')
}
