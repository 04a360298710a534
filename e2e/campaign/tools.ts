import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { settings } from './settings.ts'

/** Programs that faults need and that a machine need not have: they are fetched once, and kept with the campaign's engine. */
export interface Tools {
  /** Path of a Node of another major version than this one. */
  readonly otherNode?: string
  /** Path of libfaketime, a library that gives a program another clock than the machine's. */
  readonly faketime?: string
}

/** Why a machine has none of a tool. */
export type Missing = Partial<Record<keyof Tools, string>>

const OTHER_MAJOR = process.versions.node.startsWith('24.') ? 22 : 24

/** What can be had; of the rest, why it cannot. */
export function fetchTools(): { readonly tools: Tools; readonly missing: Missing } {
  const tools: { -readonly [Name in keyof Tools]: Tools[Name] } = {}
  const missing: Missing = {}
  const fetchers = { otherNode: fetchOtherNode, faketime: fetchFaketime } as const
  for (const name of ['otherNode', 'faketime'] as const) {
    const directory = join(settings.directory, 'tools', name)
    mkdirSync(directory, { recursive: true })
    try {
      tools[name] = fetchers[name](directory)
    } catch (thrown) {
      missing[name] = (thrown instanceof Error ? thrown.message : String(thrown)).trim().split('\n').at(-1) ?? ''
    }
  }
  return { tools, missing }
}

/** The npm registry has Node's own builds as packages. */
function fetchOtherNode(directory: string): string {
  const name = `node-${process.platform}-${process.arch}`
  const path = join(directory, 'node_modules', name, 'bin/node')
  if (version(path) === undefined) {
    const options = ['--prefix', directory, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts']
    run('npm', ['install', ...options, `${name}@${OTHER_MAJOR}`], directory)
  }
  const found = version(path)
  if (!found?.startsWith(`v${OTHER_MAJOR}.`)) throw new Error(`${name}@${OTHER_MAJOR} is ${found ?? 'no program'}`)
  return path
}

function version(node: string): string | undefined {
  try {
    return execFileSync(node, ['--version'], { encoding: 'utf8', stdio: 'pipe' }).trim()
  } catch {
    return undefined
  }
}

/** Debian's package, unpacked and not installed. */
function fetchFaketime(directory: string): string {
  const find = () =>
    readdirSync(directory, { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('/libfaketime.so.1'))
  if (find() === undefined) {
    run('apt-get', ['download', 'libfaketime'], directory)
    for (const name of readdirSync(directory).filter((each) => each.endsWith('.deb')))
      run('dpkg-deb', ['--extract', name, '.'], directory)
  }
  const found = find()
  if (found === undefined) throw new Error('the package libfaketime has no libfaketime.so.1')
  return join(directory, found)
}

function run(program: string, args: readonly string[], directory: string): void {
  execFileSync(program, args, { cwd: directory, stdio: 'pipe' })
}
