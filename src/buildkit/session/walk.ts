import type { BigIntStats } from 'node:fs'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { TestkernelsError } from '../../errors/index.ts'
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
    for (const listed of await list(root, directory)) {
      const { path, stats } = listed
      const isSent = filter.admits(path)
      if (!isSent && !(stats.isDirectory() && filter.mayAdmitBelow(path))) continue
      if (!listed.isUtf8) throw new NotUtf8Error(path)
      const entry = await describe({ ...listed, firstPaths, isSent })
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

/** The protocol carries names as UTF-8, and has no way for others. */
export class NotUtf8Error extends TestkernelsError {
  readonly code = 'FILE_NAME_NOT_UTF8'

  constructor(path: string) {
    super({
      what: `the name of a file to be sent to the engine is not UTF-8: ${path}`,
      remedy: 'rename it, or exclude it with .dockerignore',
    })
  }
}

interface Listed {
  readonly path: string
  readonly absolutePath: string
  readonly stats: BigIntStats
  readonly isUtf8: boolean
}

async function list(root: string, directory: string): Promise<Listed[]> {
  const names = await readdir(join(root, directory), { encoding: 'buffer' })
  const listed = await Promise.all(
    names.sort(Buffer.compare).map(async (bytes) => {
      const name = bytes.toString()
      const path = directory === '' ? name : `${directory}/${name}`
      const exactPath = Buffer.concat([Buffer.from(`${join(root, directory)}/`), bytes])
      const stats = await lstat(exactPath, { bigint: true }).catch(ifGone)
      return { path, absolutePath: join(root, path), stats, isUtf8: Buffer.from(name).equals(bytes) }
    }),
  )
  return listed.filter((entry): entry is Listed => entry.stats !== undefined && isSendable(entry.stats))
}

function isSendable(stats: BigIntStats): boolean {
  return stats.isFile() || stats.isDirectory() || stats.isSymbolicLink()
}

/** A file may be removed while its directory is walked: then it was never there. */
function ifGone(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
  throw error
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

/** The bits of Go's os.FileMode that are not those of Unix. */
const DIRECTORY = 2 ** 31
const SYMLINK = 2 ** 27
const SETUID = 2 ** 23
const SETGID = 2 ** 22
const STICKY = 2 ** 20
const DEVICE = 2 ** 26
const PIPE = 2 ** 25
const SOCKET = 2 ** 24

export function goMode(stats: Pick<BigIntStats, 'mode' | 'isDirectory' | 'isSymbolicLink'>): number {
  const unix = Number(stats.mode)
  let mode = unix & 0o777
  if (stats.isDirectory()) mode += DIRECTORY
  if (stats.isSymbolicLink()) mode += SYMLINK
  if (unix & 0o4000) mode += SETUID
  if (unix & 0o2000) mode += SETGID
  if (unix & 0o1000) mode += STICKY
  return mode
}

export type FileKind = 'file' | 'directory' | 'symlink' | 'special'

export function kindOf(mode: number): FileKind {
  if (has(mode, DIRECTORY)) return 'directory'
  if (has(mode, SYMLINK)) return 'symlink'
  return has(mode, DEVICE) || has(mode, PIPE) || has(mode, SOCKET) ? 'special' : 'file'
}

/** For chmod. */
export function unixPermissions(mode: number): number {
  return (
    (mode & 0o777) +
    (has(mode, SETUID) ? 0o4000 : 0) +
    (has(mode, SETGID) ? 0o2000 : 0) +
    (has(mode, STICKY) ? 0o1000 : 0)
  )
}

/** Bit 31 is the sign in the integers of `&`. */
function has(mode: number, bit: number): boolean {
  return Math.floor(mode / bit) % 2 === 1
}
