import { chmod, link, lstat, mkdir, rm, symlink, utimes } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Stat } from '../../gen/fsutil_pb.ts'
import { kindOf, unixPermissions } from '../filesync/mode.ts'
import { TransferError } from '../transfer-error.ts'

/**
 * A directory that a transfer is written to. The engine names the paths, so each must lie in a directory of this very
 * transfer: nothing is written outside, nor through a link that was sent or was there before.
 */
export class Destination {
  readonly #root: string
  readonly #directories = new Map<string, Stat | undefined>([['', undefined]])
  readonly #files = new Set<string>()
  /** Hard links, to be made when the files they are links to have come. */
  readonly #links: { from: string; to: string }[] = []

  private constructor(root: string) {
    this.#root = root
  }

  static async open(directory: string): Promise<Destination> {
    const root = resolve(directory)
    await mkdir(root, { recursive: true })
    return new Destination(root)
  }

  /** Makes what `stat` tells of. For a file, whose content is still to come, returns where to. */
  async make(stat: Stat): Promise<string | undefined> {
    const path = this.#locate(stat.path)
    switch (kindOf(stat.mode)) {
      case 'directory':
        await this.#makeDirectory(path)
        this.#directories.set(stat.path, stat)
        return undefined
      case 'symlink':
        await rm(path, { force: true, recursive: true })
        await symlink(stat.linkname, path)
        return undefined
      case 'special':
        return undefined
      case 'file':
        await rm(path, { force: true, recursive: true })
        if (stat.linkname !== '') {
          if (!this.#files.has(stat.linkname)) throw illegal(stat.linkname)
          this.#links.push({ from: path, to: join(this.#root, stat.linkname) })
          return undefined
        }
        this.#files.add(stat.path)
        return path
    }
  }

  /** Gives a file that is complete its mode and time. */
  async seal({ path, mode, modTime }: Stat): Promise<void> {
    const absolute = join(this.#root, path)
    await chmod(absolute, unixPermissions(mode))
    const seconds = Number(modTime) / 1e9
    await utimes(absolute, seconds, seconds)
  }

  /** When all files have come. Directories get mode and time last, the innermost first: then nothing is written to them. */
  async finish(): Promise<void> {
    for (const { from, to } of this.#links) await link(to, from)
    for (const stat of [...this.#directories.values()].reverse()) if (stat !== undefined) await this.seal(stat)
  }

  #locate(path: string): string {
    const slash = path.lastIndexOf('/')
    const name = path.slice(slash + 1)
    const parent = slash < 0 ? '' : path.slice(0, slash)
    if (name === '' || name === '.' || name === '..' || path.includes('\0') || !this.#directories.has(parent))
      throw illegal(path)
    return join(this.#root, path)
  }

  async #makeDirectory(path: string): Promise<void> {
    const present = await lstat(path).catch(() => undefined)
    if (present?.isDirectory()) return
    if (present !== undefined) await rm(path)
    await mkdir(path, 0o700)
  }
}

function illegal(path: string): TransferError {
  return new TransferError(`the engine sent a path that is not in the transfer: ${JSON.stringify(path)}`)
}
