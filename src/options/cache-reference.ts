import { InvalidOptionError } from './errors.ts'

/** Where a build cache is, as `docker buildx build --cache-from` and `--cache-to` name it. */
export interface CacheReference {
  /** `registry`, `inline`, `gha`, … */
  readonly type: string
  readonly attrs: Readonly<Record<string, string>>
}

type Environment = Readonly<Record<string, string | undefined>>

export interface CacheReferenceContext {
  /** The option or variable that the text is of, for errors. */
  readonly name: string
  readonly direction: 'from' | 'to'
  /** For `type=gha`. */
  readonly environment: Environment
}

/**
 * Reads `type=registry,ref=HOST/NAME:TAG`, or the name alone. What GitHub tells its jobs of their cache is filled in.
 * @throws InvalidOptionError
 */
export function parseCacheReference(text: string, context: CacheReferenceContext): CacheReference {
  const { name, direction, environment } = context
  const invalid = (problem: string) =>
    new InvalidOptionError({
      what: `${name} '${text}' ${problem}`,
      remedy: `write it as docker buildx has it: type=registry,ref=registry.example.org/cache, or ${direction === 'to' ? 'type=inline' : 'the name of an image'}`,
    })
  const fields = csvFields(text)
  if (fields === undefined || text.trim() === '') throw invalid('is no list of KEY=VALUE')
  const [first = ''] = fields
  if (fields.length === 1 && !first.includes('=')) return { type: 'registry', attrs: { ref: first } }
  const pairs = fields.map((field) => {
    const at = field.indexOf('=')
    if (at < 1) throw invalid(`has '${field}' where KEY=VALUE is wanted`)
    return [field.slice(0, at).trim().toLowerCase(), field.slice(at + 1)] as const
  })
  const { type, ...attrs } = Object.fromEntries(pairs) as Record<string, string>
  if (!type) throw invalid('names no type')
  if (type === 'registry' && !attrs['ref']) throw invalid('names no ref')
  const attribute = direction === 'to' ? 'dest' : 'src'
  if (type === 'local' && !attrs[attribute]) throw invalid(`names no ${attribute}`)
  if (type === 'inline' && direction === 'from')
    throw invalid('cannot be: an inline cache is read from its image, type=registry,ref=IMAGE')
  return { type, attrs: type === 'gha' ? withGithub(attrs, environment, invalid) : attrs }
}

/** The fields of one line of CSV, where those with commas in them are quoted; undefined when a quote is left open. */
function csvFields(line: string): string[] | undefined {
  const fields: string[] = []
  const field = /(?:"((?:[^"]|"")*)"|([^",]*))(,|$)/y
  for (let more = true; more; ) {
    const [, quoted, plain = '', separator] = field.exec(line) ?? []
    if (separator === undefined) return undefined
    fields.push(quoted?.replaceAll('""', '"') ?? plain.trim())
    more = separator === ','
  }
  return fields
}

function withGithub(
  attrs: Readonly<Record<string, string>>,
  environment: Environment,
  invalid: (problem: string) => InvalidOptionError,
): Record<string, string> {
  const known = {
    token: environment['ACTIONS_RUNTIME_TOKEN'],
    url: environment['ACTIONS_CACHE_URL'],
    url_v2: environment['ACTIONS_RESULTS_URL'],
  }
  const given = Object.fromEntries(Object.entries(known).filter((pair): pair is [string, string] => Boolean(pair[1])))
  const all = { ...given, ...attrs }
  if (!all['token'] || !(all['url'] || all['url_v2']))
    throw invalid('works in GitHub Actions only, where ACTIONS_RUNTIME_TOKEN and ACTIONS_RESULTS_URL are exposed')
  return all
}
