import { createReadStream, type Stats } from 'node:fs'
import { lstat, readdir, readFile, readlink, stat } from 'node:fs/promises'
import { basename, join, posix, resolve } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { type Header, type Pack, pack } from 'tar-stream'
import { visible } from '../errors/index.ts'
import { InvalidOptionError } from '../options/index.ts'
import { CopyFailedError } from './errors.ts'
import { type CommandGuest, execIn } from './exec.ts'
import { unpackInto } from './unpack.ts'

/** A file or a directory of this machine, by its path; the content of one file; or files with their content, by their path in the target. */
export type CopySource =
  | string
  | { readonly content: string | Uint8Array }
  | { readonly files: Readonly<Record<string, string | Uint8Array>> }

export interface CopyOptions {
  /** Calls it off; what was copied already stays. */
  readonly signal?: AbortSignal | undefined
}

export interface CopyToOptions extends CopyOptions {
  /** Mode of the file, or of all files; directories can be entered by those who may read them. @default their own; of content, 0o644 */
  readonly mode?: number | undefined
  /** As `chown` takes it: `nobody`, `1000:1000`. @default 'root:root' */
  readonly owner?: string | undefined
}

/** What goes into the archive: a name in the target, and what is there. */
interface Entry {
  readonly header: Pick<Header, 'name' | 'type'> & Partial<Header>
  readonly content?: Uint8Array | { readonly path: string } | undefined
}

/** `file`: the target is its path. `tree`: the target is a directory that gets what is in it. */
interface Contents {
  readonly kind: 'file' | 'tree'
  readonly mode: number
  readonly entries: readonly Entry[]
}

/** A file of up to so many bytes is read at once. */
const SMALL_BYTES = 1024 * 1024
const CONTENT_MODE = 0o644
const DIRECTORY_MODE = 0o755

/**
 * Copies into the guest: modes, links and times are kept, all in one stream.
 * @throws InvalidOptionError, before anything is copied; CopyFailedError; as `execIn`
 */
export async function copyTo(
  guest: CommandGuest,
  source: CopySource,
  target: string,
  { mode, owner = '0:0', signal }: CopyToOptions = {},
): Promise<void> {
  const path = absolute(targetOf(source, target))
  const what = typeof source === 'string' ? source : 'what is given'
  const notCopied = (why: unknown) => failed(guest, `${what} cannot be copied to ${target} in the guest`, why)
  const contents = await contentsOf(source, posix.basename(path)).catch((why) => {
    throw why instanceof InvalidOptionError ? why : notCopied(why)
  })
  const { uid, gid } = await idsOf(guest, owner, signal)
  const entries = contents.entries.map(({ header, content }): Entry => {
    return { header: { ...header, uid, gid, ...(mode !== undefined && { mode: modeFor(header, mode) }) }, content }
  })
  const directory = contents.kind === 'tree' ? path : posix.dirname(path)
  const directoryMode = mode === undefined ? contents.mode : modeFor({ type: 'directory' }, mode)
  const script = `${entries.some(isLong) ? NEEDS_PAX : ''}${UNPACK}`
  const argv = ['sh', '-c', script, 'sh', directory, directoryMode.toString(8), `${uid}:${gid}`]
  const archive = archiveOf(entries)
  try {
    const { exitCode, stderr } = await execIn(guest, argv, { stdin: archive, signal })
    if (exitCode !== 0) throw notCopied(visible(stderr.trim()))
  } catch (thrown) {
    throw archive.errored === thrown ? notCopied(thrown) : thrown
  } finally {
    archive.destroy()
  }
}

/** busybox's tar would take a part of a long name for the whole. */
const NEEDS_PAX = `tar --version 2>/dev/null | grep -q 'GNU tar\\|bsdtar' || {
  echo 'the tar of this rootfs takes no path of more than 100 bytes: install GNU tar in it' >&2
  exit 1
}
`
/** What is there already keeps its mode: it may be /tmp. */
const UNPACK = `[ -d "$1" ] || { mkdir -p -- "$1" && chmod "$2" "$1" && chown "$3" "$1"; } && exec tar -xpf - -C "$1"`

const PACK = `path=$(readlink -f -- "$1") && [ -e "$path" ] || { echo "$1: no such file or directory" >&2; exit 1; }
cd "$(dirname "$path")" && exec tar -cf - "./$(basename "$path")"`

/** What GNU tar says, with status 1, of files that change meanwhile: what was there is in the archive. */
const HARMLESS = /: (file changed as we read it|File removed before we read it|socket ignored)$/

/**
 * Copies out of the guest, as this user's: modes and links are kept, but for setuid and its kin. Nothing is written outside of the target,
 * whatever the guest sends.
 * @throws InvalidOptionError; CopyFailedError; CopyRefusedError; as `execIn`
 */
export async function copyFrom(guest: CommandGuest, source: string, target: string, { signal }: CopyOptions = {}) {
  const path = absolute(source)
  if (path === '/') throw refuse('/ is the whole guest', 'name what is needed of it')
  const archive = new PassThrough()
  const running = execIn(guest, ['sh', '-c', PACK, 'sh', path], { stdout: archive, signal }).finally(() =>
    archive.end(),
  )
  const [ran, unpacked] = await Promise.allSettled([running, unpackInto(target, archive, guest.entry)])
  // Where the archive could not be taken, the command fails with just that.
  if (ran.status === 'rejected') throw ran.reason
  const { exitCode, stderr } = ran.value
  const lines = stderr.trim().split('\n')
  const isWhole = exitCode === 0 || (exitCode === 1 && lines.every((line) => HARMLESS.test(line)))
  if (!isWhole) throw failed(guest, `${source} cannot be copied`, visible(stderr.trim()))
  if (unpacked.status === 'rejected') throw unpacked.reason
}

function absolute(path: string): string {
  if (path.startsWith('/') && !path.includes('\0')) return posix.join(path).replace(/(?<=.)\/$/, '')
  throw refuse(`'${path}' is no path of the guest`, 'give one that begins with a slash')
}

/** One that ends in a slash is a directory that the file, or the directory, gets into by its own name. */
function targetOf(source: CopySource, target: string): string {
  if (!target.endsWith('/') || (typeof source === 'object' && 'files' in source)) return target
  if (typeof source === 'string') return target + basename(resolve(source))
  throw refuse(`'${target}' is no path of a file`, 'name the file that gets the content')
}

function refuse(what: string, remedy: string): InvalidOptionError {
  return new InvalidOptionError({ what: `copy: ${what}`, remedy })
}

function failed({ entry }: CommandGuest, what: string, cause: unknown): CopyFailedError {
  const remedy = 'see the cause: a file that is not there or cannot be read, or a disk without room'
  return new CopyFailedError({ what, entry, cause, remedy })
}

async function contentsOf(source: CopySource, name: string): Promise<Contents> {
  if (typeof source === 'string') {
    // Of a link that is named, what it leads to.
    const found = await stat(source)
    if (found.isDirectory()) return { kind: 'tree', mode: found.mode & 0o7777, entries: await treeOf(source) }
    return { kind: 'file', mode: DIRECTORY_MODE, entries: [fileEntry(name, source, found)] }
  }
  const mode = DIRECTORY_MODE
  if ('content' in source) return { kind: 'file', mode, entries: [contentEntry(name, source.content)] }
  const entries = Object.entries(source.files).map(([path, content]) => contentEntry(below(path), content))
  return { kind: 'tree', mode, entries }
}

/** @throws InvalidOptionError for a path that leads out of the target */
function below(path: string): string {
  const plain = posix.join(path)
  if (!posix.isAbsolute(plain) && !/^\.\.?(\/|$)/.test(plain) && !plain.endsWith('/')) return plain
  throw refuse(`'${path}' is no path of a file in the target`, 'give one that is relative and does not lead out of it')
}

function contentEntry(name: string, content: string | Uint8Array): Entry {
  const bytes = Buffer.from(content as Uint8Array)
  return { header: { name, type: 'file', size: bytes.length, mode: CONTENT_MODE }, content: bytes }
}

function fileEntry(name: string, path: string, { mode, mtime, size }: Stats): Entry {
  return { header: { name, type: 'file', mode: mode & 0o7777, mtime, size }, content: { path } }
}

/** All that is below a directory, which is there before what is in it; further names of a file are links to its first. */
async function treeOf(root: string): Promise<readonly Entry[]> {
  const entries: Entry[] = []
  const names = new Map<string, string>()
  const add = async (directory: string) => {
    for (const child of (await readdir(join(root, directory))).sort()) {
      const name = posix.join(directory, child)
      const path = join(root, name)
      const found = await lstat(path)
      const { mtime, nlink, dev, ino } = found
      const mode = found.mode & 0o7777
      const first = names.get(`${dev}:${ino}`)
      if (found.isSymbolicLink()) {
        entries.push({ header: { name, type: 'symlink', linkname: await readlink(path), mode, mtime } })
      } else if (found.isDirectory()) {
        entries.push({ header: { name, type: 'directory', mode, mtime } })
        await add(name)
      } else if (!found.isFile()) {
        throw new Error(`${path} is no file, directory or link`)
      } else if (first !== undefined) {
        entries.push({ header: { name, type: 'link', linkname: first, mode, mtime } })
      } else {
        if (nlink > 1) names.set(`${dev}:${ino}`, name)
        entries.push(fileEntry(name, path, found))
      }
    }
  }
  await add('')
  return entries
}

function modeFor({ type }: Pick<Header, 'type'>, mode: number): number {
  return type === 'directory' ? mode | ((mode & 0o444) >> 2) : mode
}

function isLong({ header: { name, linkname } }: Entry): boolean {
  return [name, linkname ?? ''].some((path) => Buffer.byteLength(path) > 100)
}

/** A tar of them, read as it is taken. */
function archiveOf(entries: readonly Entry[]): Readable {
  const archive = pack()
  const write = async () => {
    for (const entry of entries) await add(archive, entry)
    archive.finalize()
  }
  write().catch((why) => archive.destroy(why))
  return Readable.from(archive)
}

/** Resolves when there is room for the next. */
async function add(archive: Pack, { header, content }: Entry): Promise<void> {
  const sink = archive.entry(header)
  const { size = 0 } = header
  if (content === undefined) sink.end(null)
  else if (content instanceof Uint8Array) await pipeline([content], sink)
  else if (size <= SMALL_BYTES) await pipeline([(await readFile(content.path)).subarray(0, size)], sink)
  // Of one that grows meanwhile, what was there when it was looked at.
  else await pipeline(createReadStream(content.path, { end: size - 1 }), sink)
}

/** Who owns a file that is made now and given to the owner: the guest's chown knows what it takes. */
const IDS = `file=$(mktemp) && chown -- "$1" "$file" && stat -c '%u %g' "$file"
status=$?
rm -f "$file"
exit $status`

async function idsOf(guest: CommandGuest, owner: string, signal: AbortSignal | undefined) {
  const [, user, group] = /^(\d+):(\d+)$/.exec(owner) ?? []
  if (user !== undefined) return { uid: Number(user), gid: Number(group) }
  const { exitCode, stdout, stderr } = await execIn(guest, ['sh', '-c', IDS, 'sh', owner], { signal })
  if (exitCode !== 0) throw failed(guest, `'${owner}' can own nothing in the guest`, visible(stderr.trim()))
  const [uid = 0, gid = 0] = stdout.trim().split(' ').map(Number)
  return { uid, gid }
}
