import type { BigIntStats } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { goMode } from './mode.ts'
import { PatternList } from './patterns.ts'

export interface WalkOptions {
  /** Send only what matches one of these, and the directories it is in. @default everything */
  readonly include?: readonly string[] | undefined
  /** Leave out what these match, as in .dockerignore. @default nothing */
  readonly exclude?: readonly string[] | undefined
}

/** One file, directory or link, as fsutil describes it. */
export interface Entry {
  /** With `/`, relative to the root. */
  readonly path: string
  readonly absolutePath: string
  /** Go's os.FileMode. */
  readonly mode: number
  readonly size: bigint
  readonly modTimeNs: bigint
  /** Target of a symbolic link, or path of the entry that this one is a hard link to. */
  readonly linkname: string
}

/**
 * Everything below `root` in fsutil's order: a directory before what is in it, names sorted by their bytes. Sockets, pipes
 * and devices are left out.
 */
export async function* walk(root: string, options: WalkOptions = {}): AsyncGenerator<Entry, void, undefined> {
  const filter = new Filter(options)
  const firstPaths = new Map<string, string>()
  // Directories on the way to here that are not sent unless something in them is.
  yield* below('', [])

  async function* below(directory: string, pending: readonly Entry[]): AsyncGenerator<Entry, void, undefined> {
    let unsent = pending
    for (const { path, absolutePath, stats } of await list(root, directory)) {
      const isSent = filter.admits(path)
      if (!isSent && !(stats.isDirectory() && filter.mayAdmitBelow(path))) continue
      const entry = await describe({ path, absolutePath, stats, firstPaths, isSent })
      if (isSent) {
        yield* unsent
        unsent = []
        yield entry
      }
      if (!stats.isDirectory()) continue
      for await (const inner of below(path, isSent ? [] : [...unsent, entry])) {
        yield inner
        unsent = []
      }
    }
  }
}

class Filter {
  readonly #include: PatternList | undefined
  readonly #exclude: PatternList

  constructor({ include, exclude = [] }: WalkOptions) {
    this.#include = include === undefined ? undefined : new PatternList(include)
    this.#exclude = new PatternList(exclude)
  }

  admits(path: string): boolean {
    return (this.#include?.matches(path) ?? true) && !this.#exclude.matches(path)
  }

  mayAdmitBelow(directory: string): boolean {
    const isIncluded = this.#include === undefined || this.#include.matches(directory)
    if (!isIncluded && !this.#include?.mayMatchBelow(directory)) return false
    return !this.#exclude.matches(directory) || this.#exclude.mayTakeBackBelow(directory)
  }
}

interface Listed {
  readonly path: string
  readonly absolutePath: string
  readonly stats: BigIntStats
}

async function list(root: string, directory: string): Promise<Listed[]> {
  const names = await readdir(join(root, directory))
  names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  const listed = await Promise.all(
    names.map(async (name) => {
      const path = directory === '' ? name : `${directory}/${name}`
      const absolutePath = join(root, path)
      return { path, absolutePath, stats: await lstat(absolutePath, { bigint: true }) }
    }),
  )
  return listed.filter(({ stats }) => stats.isFile() || stats.isDirectory() || stats.isSymbolicLink())
}

interface Described extends Listed {
  readonly firstPaths: Map<string, string>
  readonly isSent: boolean
}

async function describe({ path, absolutePath, stats, firstPaths, isSent }: Described): Promise<Entry> {
  const entry = { path, absolutePath, mode: goMode(stats), modTimeNs: stats.mtimeNs }
  if (stats.isSymbolicLink()) return { ...entry, size: 0n, linkname: await readlink(absolutePath) }
  if (!stats.isFile()) return { ...entry, size: 0n, linkname: '' }
  if (stats.nlink > 1n && isSent) {
    const inode = `${stats.dev}:${stats.ino}`
    const first = firstPaths.get(inode)
    if (first !== undefined) return { ...entry, size: 0n, linkname: first }
    firstPaths.set(inode, path)
  }
  return { ...entry, size: stats.size, linkname: '' }
}
