import { chmod, link, lstat, mkdir, open, symlink, unlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import type { Readable } from 'node:stream'
import { extract, type Header } from 'tar-stream'
import { CopyFailedError, CopyRefusedError } from './errors.ts'

/**
 * Unpacks a tar of one file, or of one directory, as the target: a file is the target itself, and a directory's contents are added to those
 * of the target. The archive is a guest's, which may be hostile: nothing is written outside of the target, links are made only when all else
 * is there, and what a name already leads to by a link is never written.
 * @param archive is destroyed with what is thrown
 * @throws CopyRefusedError; CopyFailedError
 */
export async function unpackInto(target: string, archive: Readable, entry: string): Promise<void> {
  const extractor = extract()
  archive.once('error', (why) => extractor.destroy(why))
  archive.pipe(extractor)
  const unpacking = new Unpacking(resolve(target), entry)
  try {
    for await (const part of extractor) await unpacking.add(part)
    await unpacking.finish()
  } catch (thrown) {
    const reason = archive.errored ?? unpacking.explain(thrown)
    archive.destroy(reason as Error)
    throw reason
  }
}

/** Who may do what, without setuid, setgid and the sticky bit: a file of the guest's is this user's now. */
const PERMISSIONS = 0o777

/** A file, directory or link of the archive, with the content of a file. */
interface Part extends AsyncIterable<unknown> {
  readonly header: Header
  resume(): unknown
}

class Unpacking {
  readonly #target: string
  readonly #entry: string
  /** What all names begin with. */
  #root: string | undefined
  /** Directories below the target that are known to be ones, and no links to others. */
  readonly #directories = new Set<string>()
  readonly #files = new Set<string>()
  readonly #modes: { readonly path: string; readonly mode: number }[] = []
  readonly #links: { readonly path: string; readonly to: string }[] = []

  constructor(target: string, entry: string) {
    this.#target = target
    this.#entry = entry
  }

  async add(part: Part): Promise<void> {
    const { name, type, linkname, mode } = part.header
    const path = this.#pathOf(name)
    if (type === 'directory') await this.#addDirectory(path, mode)
    else if (type === 'file' || type === 'contiguous-file') await this.#addFile(path, part)
    else if (type === 'link') await this.#addName(path, this.#pathOf(linkname))
    else if (type === 'symlink') await this.#promiseLink(path, linkname)
    else throw this.#refused(`'${name}' is no file, directory or link`)
    // Or the next one does not come.
    part.resume()
  }

  /** Makes the links, and then gives directories their modes: they may be such that nothing can be made in them. */
  async finish(): Promise<void> {
    if (this.#root === undefined) throw new Error('the archive is empty')
    for (const { path, to } of this.#links) {
      await this.#makeRoom(path)
      await symlink(to, path)
    }
    for (const { path, mode } of this.#modes.reverse()) await chmod(path, mode)
  }

  explain(thrown: unknown): unknown {
    if (thrown instanceof CopyRefusedError) return thrown
    return new CopyFailedError({
      what: `what the guest sends cannot be written to ${this.#target}`,
      entry: this.#entry,
      remedy: 'see the cause: a target that cannot be written, a disk without room, or a tar that was cut off',
      cause: thrown,
    })
  }

  #pathOf(name: string): string {
    const [root, ...rest] = name.split('/').filter((part) => part !== '' && part !== '.')
    this.#root ??= root
    if (root === undefined || root !== this.#root || [root, ...rest].includes('..'))
      throw this.#refused(`'${name}' leads out of what is copied`)
    // What is not UTF-8 would come under another name, and over what has that.
    if (name.includes('\0') || name.includes('\u{FFFD}')) throw this.#refused(`'${name}' is no name in UTF-8`)
    return join(this.#target, ...rest)
  }

  async #addDirectory(path: string, mode: number): Promise<void> {
    const made = await this.#makeDirectory(path)
    // The target may be one of this machine's own, such as /tmp.
    if (made || path !== this.#target) this.#modes.push({ path, mode: mode & PERMISSIONS })
  }

  async #addFile(path: string, part: Part): Promise<void> {
    const { mode, mtime } = part.header
    await this.#makeRoom(path)
    // Not through a link, and not over another's file.
    const file = await open(path, 'wx', 0o600)
    try {
      for await (const piece of part) await file.write(piece as Uint8Array)
      await file.chmod(mode & PERMISSIONS)
      await file.utimes(mtime, mtime)
    } finally {
      await file.close()
    }
    this.#files.add(path)
  }

  /** A further name of a file that was written. */
  async #addName(path: string, first: string): Promise<void> {
    if (!this.#files.has(first)) throw this.#refused(`'${path}' is to be a name of what was not copied`)
    if (path === first) return
    await this.#makeRoom(path)
    await link(first, path)
    this.#files.add(path)
  }

  async #promiseLink(path: string, to: string): Promise<void> {
    // A later copy to the same target would go where it leads.
    if (path === this.#target) throw this.#refused(`it is a link, to '${to}'`)
    await this.#makeDirectory(dirname(path))
    this.#links.push({ path, to })
  }

  /** Sees to it that nothing has this name, in a directory that has none but what is in it. */
  async #makeRoom(path: string): Promise<void> {
    if (path === this.#target) await mkdir(dirname(path), { recursive: true })
    else await this.#makeDirectory(dirname(path))
    const found = await lstat(path).catch(absent)
    if (found?.isDirectory()) throw this.#refused(`a directory is at ${path}, which is no directory in the guest`)
    this.#files.delete(path)
    if (found !== undefined) await unlink(path)
  }

  /** @returns whether there was none */
  async #makeDirectory(path: string): Promise<boolean> {
    if (this.#directories.has(path)) return false
    if (path === this.#target) {
      // By whatever links this machine's user names it.
      const made = await mkdir(path, { recursive: true })
      this.#directories.add(path)
      return made !== undefined
    }
    await this.#makeDirectory(dirname(path))
    const found = await lstat(path).catch(absent)
    if (found !== undefined && !found.isDirectory())
      throw this.#refused(`what is at ${path} is no directory, as it is in the guest`)
    if (found === undefined) await mkdir(path, 0o700)
    this.#directories.add(path)
    return found === undefined
  }

  #refused(what: string): CopyRefusedError {
    return new CopyRefusedError({
      what: `not copied from the guest: ${what}`,
      entry: this.#entry,
      remedy: 'copy what is below it, to a new directory; or pack it in the guest, and copy the archive',
    })
  }
}

function absent(thrown: NodeJS.ErrnoException): undefined {
  if (thrown.code !== 'ENOENT') throw thrown
}
