import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { settings } from './settings.ts'

/** What came of one try. */
export interface Tried {
  readonly fault: string
  readonly seed: number
  readonly number: number
  /** Where the life was that it hit. */
  readonly phase: string
  /** Milliseconds from the beginning to the end. */
  readonly ms: number
  /** What was not as it should be. */
  readonly wrong?: string | undefined
  readonly isHang?: boolean
}

/** What one of the starts after some tries found. */
export interface Swept {
  readonly after: readonly number[]
  readonly seed: number
  readonly left: readonly string[]
}

interface Entries {
  /** Of `src` and `images`: what other code did is forgotten. */
  readonly source: string
  readonly tries: Tried[]
  readonly sweeps: Swept[]
  /** Kinds of faults that this machine has not what they need for, and what that is. */
  readonly notTried: Record<string, string>
  manyFiles?: { readonly files: number; readonly firstMib: number; readonly lastMib: number }
}

const BEGIN = '<!-- written by npm run test:faults -->'
const END = '<!-- to here -->'
const page = join(settings.root, 'docs/reliability.md')

/** What was tried with this source, in however many runs, in a file; and the page that tells it. */
export class Ledger {
  readonly #path: string
  readonly #entries: Entries

  constructor(path: string) {
    this.#path = path
    const source = sourceDigest()
    const former = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Entries) : undefined
    this.#entries = former?.source === source ? former : { source, tries: [], sweeps: [], notTried: {} }
  }

  get tries(): readonly Tried[] {
    return this.#entries.tries
  }

  tried(one: Tried): void {
    this.#entries.tries.push(one)
    this.#write()
  }

  swept(one: Swept): void {
    this.#entries.sweeps.push(one)
    this.#write()
  }

  notTried(fault: string, why: string): void {
    this.#entries.notTried[fault] = why
    this.#write()
  }

  manyFiles(found: NonNullable<Entries['manyFiles']>): void {
    this.#entries.manyFiles = found
    this.#write()
  }

  /** Puts the table into docs/reliability.md. */
  writePage(): void {
    const text = readFileSync(page, 'utf8')
    const [head = '', rest = ''] = text.split(BEGIN)
    const tail = rest.split(END)[1] ?? ''
    writeFileSync(page, `${head}${BEGIN}\n\n${tableOf(this.#entries)}\n${END}${tail}`)
  }

  #write(): void {
    mkdirSync(dirname(this.#path), { recursive: true })
    writeFileSync(this.#path, JSON.stringify(this.#entries, undefined, 1))
  }
}

function tableOf({ tries, sweeps, notTried, manyFiles }: Entries): string {
  const faults = [...new Set(tries.map(({ fault }) => fault))].sort()
  const row = (name: string, those: readonly Tried[]) => {
    const phases = [...new Set(those.map(({ phase }) => phase))].sort()
    const when = phases.map((phase) => `${phase} ${those.filter((one) => one.phase === phase).length}`)
    const hangs = those.filter(({ isHang }) => isHang).length
    const wrong = those.filter(({ wrong }) => wrong !== undefined).length
    return `| ${name} | ${those.length} | ${those.length - wrong} | ${hangs} | ${when.join(', ')} |`
  }
  const left = sweeps.flatMap(({ left }) => left)
  return [
    '| fault | tries | right verdicts | hangs | when |',
    '|---|---|---|---|---|',
    ...faults.map((name) =>
      row(
        name,
        tries.filter(({ fault }) => fault === name),
      ),
    ),
    row('**together**', tries).replace(/[^|]+\|$/, ' |'),
    '',
    `${sweeps.length} starts after them found ${left.length} things left.`,
    ...Object.entries(notTried)
      .filter(([name]) => !faults.includes(name))
      .flatMap(([name, why]) => ['', `Not tried: ${name}; ${why}.`]),
    ...(manyFiles === undefined
      ? []
      : [
          '',
          `${manyFiles.files} test files over one VM: the heap of Vitest's main process had ${manyFiles.firstMib} MiB after the first fifth of them and`,
          `${manyFiles.lastMib} MiB after the last.`,
        ]),
    '',
  ].join('\n')
}

function sourceDigest(): string {
  const git = (...args: string[]) => execFileSync('git', args, { cwd: settings.root, encoding: 'utf8' })
  return [git('rev-parse', 'HEAD:src', 'HEAD:images'), git('diff', 'HEAD', '--stat', '--', 'src', 'images')].join('')
}
