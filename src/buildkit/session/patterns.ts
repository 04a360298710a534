/**
 * The patterns of .dockerignore, as BuildKit reads them: `*`, `?`, `[a-z]`, `**` for any number of directories, `!` to take
 * back. Each is anchored at the root and covers what is below a directory it matches; the last one that matches decides.
 */
export class PatternList {
  readonly #patterns: readonly Pattern[]

  constructor(patterns: readonly string[]) {
    this.#patterns = patterns.map(parse).filter((pattern) => pattern !== undefined)
  }

  matches(path: string): boolean {
    let matched = false
    for (const { regExp, isNegated } of this.#patterns)
      if (matched === isNegated && regExp.test(path)) matched = !isNegated
    return matched
  }

  /** Whether a pattern that does not take back may match something below `directory`. */
  mayMatchBelow(directory: string): boolean {
    return this.#patterns.some((pattern) => !pattern.isNegated && mayMatchBelow(pattern, directory))
  }

  /** Whether a `!` pattern may match something below `directory`. */
  mayTakeBackBelow(directory: string): boolean {
    return this.#patterns.some((pattern) => pattern.isNegated && mayMatchBelow(pattern, directory))
  }
}

interface Pattern {
  readonly regExp: RegExp
  readonly isNegated: boolean
  /** Up to the first character that is special. */
  readonly literalPrefix: string
}

/** Lines of an ignore file: `#` starts a comment. */
export function parseIgnoreFile(text: string): string[] {
  return text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .filter((line) => !line.startsWith('#'))
    .map((line) => line.trim())
    .filter((line) => line !== '')
}

function parse(text: string): Pattern | undefined {
  const trimmed = text.trim()
  const isNegated = trimmed.startsWith('!')
  const path = clean(isNegated ? trimmed.slice(1).trim() : trimmed)
  if (path === '') return undefined
  return { regExp: toRegExp(path), isNegated, literalPrefix: /^[^*?[\\]*/.exec(path)?.[0] ?? '' }
}

/** `./a//b/../c/` -> `a/c`; the root itself is the empty string, which is no pattern. */
function clean(path: string): string {
  const parts: string[] = []
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue
    if (part === '..') parts.pop()
    else parts.push(part)
  }
  return parts.join('/')
}

function mayMatchBelow({ literalPrefix }: Pattern, directory: string): boolean {
  const below = `${directory}/`
  return literalPrefix.startsWith(below) || below.startsWith(literalPrefix)
}

function toRegExp(path: string): RegExp {
  let source = ''
  for (let i = 0; i < path.length; i += 1) {
    const char = path.charAt(i)
    if (path.startsWith('**', i)) {
      i += 1
      if (path.charAt(i + 1) === '/') i += 1
      source += i + 1 >= path.length ? '.*' : '(?:.*/)?'
    } else if (char === '*') source += '[^/]*'
    else if (char === '?') source += '[^/]'
    else if (char === '[') {
      const set = /^\[(\^?)((?:\\.|[^\]\\])+)\]/.exec(path.slice(i))
      if (set === null) source += '\\['
      else {
        source += `[${set[1]}${set[2]?.replaceAll('[', '\\[')}]`
        i += set[0].length - 1
      }
    } else if (char === '\\' && i + 1 < path.length) {
      i += 1
      source += literal(path.charAt(i))
    } else source += literal(char)
  }
  return new RegExp(`^${source}(?:/.*)?$`, 'su')
}

function literal(char: string): string {
  return char.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&')
}
