import { randomBytes } from 'node:crypto'
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { type FileHandle, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

export {
  abandonedDirectories,
  DirectoryUnusableError,
  directoryUnusable,
  makeBriefDirectory,
  makeOwnedDirectory,
  type OwnedDirectory,
  ownedDirectories,
} from './owned-directory.ts'

/**
 * Gives a file other content in one step: who reads it at this moment, in whatever process, has all of the old or all of the new.
 * Its directory must be there.
 */
export async function replaceFile(path: string, content: string): Promise<void> {
  const beside = nameBeside(path)
  try {
    await writeFile(beside, content)
    await rename(beside, path)
  } catch (thrown) {
    await rm(beside, { force: true })
    throw thrown
  }
}

/** The same where nothing can be waited for, as in a configuration. */
export function replaceFileSync(path: string, content: string): void {
  const beside = nameBeside(path)
  try {
    writeFileSync(beside, content)
    renameSync(beside, path)
  } catch (thrown) {
    rmSync(beside, { force: true })
    throw thrown
  }
}

/**
 * The same for what is large or comes piece by piece: a file (0600) is filled, which takes the other's place when it is whole. Of one that
 * is not, nothing stays; of one whose process was killed, nothing after a day, when the next is made.
 * @throws what `fill` throws; what opening, syncing and renaming throw
 */
export async function replaceFileBy<T>(path: string, fill: (file: FileHandle) => Promise<T>): Promise<T> {
  const beside = nameBeside(path)
  await removeHalves(path)
  try {
    const file = await open(beside, 'wx', 0o600)
    try {
      const filled = await fill(file)
      // Some file systems tell only here that there was no room.
      await file.sync()
      await rename(beside, path)
      return filled
    } finally {
      await file.close()
    }
  } catch (thrown) {
    await rm(beside, { force: true })
    throw thrown
  }
}

/** Nothing takes that long to write. */
const HALF_KEPT_MS = 24 * 3_600_000

async function removeHalves(path: string): Promise<void> {
  const name = basename(path)
  const isHalf = (other: string) => other.startsWith(name) && BESIDE.test(other.slice(name.length))
  await removeOlder(dirname(path), { keptMs: HALF_KEPT_MS, only: isHalf })
}

/** What `nameBeside` adds. */
const BESIDE = /^\.\d+-[0-9a-f]{8}$/

/** On the same file system, and nobody else's: two threads of a process may write at once. */
function nameBeside(path: string): string {
  return `${path}.${process.pid}-${randomBytes(4).toString('hex')}`
}

export interface RemoveOlderOptions {
  /** What was changed within this time stays, in milliseconds. */
  readonly keptMs: number
  /** Milliseconds since 1970. @default now */
  readonly now?: number
  /** Whether what has a name may go. @default all may */
  readonly only?: (name: string) => boolean
}

/**
 * Removes the files and directories of a directory that have not changed for long. One that is not there has none; what another user has
 * in a directory for all stays.
 */
export async function removeOlder(
  directory: string,
  { keptMs, now = Date.now(), only = () => true }: RemoveOlderOptions,
): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) {
    if (!only(name)) continue
    const path = join(directory, name)
    const found = await stat(path).catch(() => undefined)
    if (found === undefined || now - found.mtimeMs <= keptMs) continue
    await removeOurs(path)
  }
}

/** Removes a file or a directory with what is in it. What this user may not remove stays: it is somebody else's, in a directory for all. */
export async function removeOurs(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch((thrown: NodeJS.ErrnoException) => {
    if (thrown.code !== 'EPERM' && thrown.code !== 'EACCES') throw thrown
  })
}
