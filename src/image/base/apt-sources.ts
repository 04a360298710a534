import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** One entry of apt's configuration: packages of some suites and components from some places. */
export interface AptSource {
  readonly uris: readonly string[]
  readonly suites: readonly string[]
  readonly components: readonly string[]
  /** Keyring, fingerprint or key that apt is told to trust for it. */
  readonly signedBy: string | undefined
}

/** Every enabled source of binary packages in `sources.list` and `sources.list.d`, in apt's order. */
export async function readAptSources(aptDirectory: string): Promise<readonly AptSource[]> {
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
