import { type BigIntStats, constants, type Dirent } from 'node:fs'
import { type FileHandle, lstat, open, readdir, readlink, realpath } from 'node:fs/promises'
import type { Attributes } from './answers.ts'
import { Refusal } from './requests.ts'

/** Linux's, which Node does not name: opens whatever it is for its path alone, without a right to read it, and starts nothing by that. */
const O_PATH = 0o10_000_000
/** Whether a file is open for reading, for writing or for both. */
export const O_ACCMODE = 0o3
/** Names that a guest may know at a time: what it forgets is free again. */
const MOST_NODES = 262_144
/** Owners that a guest may give to files. */
const MOST_OWNERS = 65_536
const ROOT = 1

/** A file or directory of the share, as the guest has heard of it. */
export interface Node {
  readonly id: number
  /** Undefined for the root, and for what has another name or none by now. */
  parent: Node | undefined
  name: string
  /** Device, inode and type: what has the same name and another of these is another file. */
  readonly inode: string
  readonly children: Map<string, Node>
  /** Files that are open: the only way to one whose name is gone. */
  readonly open: Set<FileHandle>
  /** How often the guest was told of it, less how often it said that it forgot. */
  lookups: number
}

export interface Owner {
  readonly uid: number
  readonly gid: number
}

/**
 * A directory of this machine as a guest may see it: by nodes and names of one component, never by paths. Each time something is done, what
 * it is done to is opened first and asked for the path that it has: where a link was on the way, or something was moved, it is not what the
 * guest means, and nothing is done. What follows is done to what was opened.
 */
export class SharedTree implements AsyncDisposable {
  readonly #path: string
  readonly #handle: FileHandle
  readonly #root: Node
  readonly #nodes = new Map<number, Node>()
  readonly #owners = new Map<string, Owner>()
  #lastId = ROOT

  private constructor(path: string, handle: FileHandle, stats: BigIntStats) {
    this.#path = path === '/' ? '' : path
    this.#handle = handle
    this.#root = makeNode(ROOT, undefined, '', inodeOf(stats))
    this.#nodes.set(ROOT, this.#root)
  }

  /** @throws what `open` throws, of a path where there is no directory any more */
  static async open(directory: string): Promise<SharedTree> {
    const path = (await realpath(directory, { encoding: 'buffer' })).toString('latin1')
    const handle = await open(bytes(path), O_PATH | constants.O_DIRECTORY)
    return new SharedTree(path, handle, await handle.stat({ bigint: true }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }

  /** @throws Refusal: the guest's kernel looks the path up again, and finds what is there now */
  node(id: number): Node {
    const node = this.#nodes.get(id)
    if (node === undefined) throw new Refusal('ESTALE')
    return node
  }

  /** Finds what has a name in a directory, and tells the guest of it: it must be forgotten as often. */
  async lookUp(parent: Node, name: string): Promise<{ readonly node: Node; readonly stats: BigIntStats }> {
    const stats = await this.inDirectory(parent, (directory) => lstat(bytes(`${directory}/${name}`), { bigint: true }))
    const node = this.#adopt(parent, name, inodeOf(stats))
    node.lookups++
    return { node, stats }
  }

  #adopt(parent: Node, name: string, inode: string): Node {
    const known = parent.children.get(name)
    if (known?.inode === inode) return known
    if (known !== undefined) detach(known)
    if (this.#nodes.size >= MOST_NODES) throw new Refusal('ENFILE')
    const node = makeNode(++this.#lastId, parent, name, inode)
    parent.children.set(name, node)
    this.#nodes.set(node.id, node)
    return node
  }

  forget(id: number, count: number): void {
    const node = this.#nodes.get(id)
    if (node === undefined || node === this.#root) return
    node.lookups -= count
    if (node.lookups > 0) return
    this.#nodes.delete(id)
    if (node.parent?.children.get(node.name) === node) node.parent.children.delete(node.name)
  }

  /** What had that name has it no more. */
  removed(parent: Node, name: string): void {
    const node = parent.children.get(name)
    if (node !== undefined) detach(node)
  }

  renamed(from: Node, name: string, to: Node, newName: string): void {
    const node = from.children.get(name)
    this.removed(to, newName)
    if (node === undefined) return
    from.children.delete(name)
    node.parent = to
    node.name = newName
    to.children.set(newName, node)
  }

  /** Opens a node for its path alone, and closes it when the work is done. @param work takes a path that leads to it, and to nothing else */
  async pinned<T>(node: Node, work: (path: string, stats: BigIntStats) => Promise<T>): Promise<T> {
    const below = this.#pathOf(node)
    const path = `/proc/self/fd/${this.#handle.fd}${below || '/.'}`
    await using file = await open(bytes(path), O_PATH | constants.O_NOFOLLOW)
    const pin = `/proc/self/fd/${file.fd}`
    const [found, stats] = await Promise.all([readlink(pin, { encoding: 'latin1' }), file.stat({ bigint: true })])
    if (found !== (this.#path + below || '/') || inodeOf(stats) !== node.inode) throw new Refusal('ESTALE')
    return await work(pin, stats)
  }

  /** Of a file whose name is gone as well, as long as it is open. */
  statsOf(node: Node): Promise<BigIntStats> {
    const [file] = node.open
    return file?.stat({ bigint: true }) ?? this.pinned(node, async (_, stats) => stats)
  }

  /** Does something to names in a directory. @param work takes a path of it that stays its own */
  inDirectory<T>(node: Node, work: (directory: string) => Promise<T>): Promise<T> {
    return this.pinned(node, async (path, stats) => {
      if (!stats.isDirectory()) throw new Refusal('ENOTDIR')
      return await work(path)
    })
  }

  /** Opens what is a file, and nothing else: devices, pipes and sockets of this machine are not the guest's. */
  openFile(node: Node, flags: number): Promise<FileHandle> {
    return this.pinned(node, async (path, stats) => {
      if (stats.isDirectory()) throw new Refusal('EISDIR')
      if (!stats.isFile()) throw new Refusal('ENXIO')
      return await open(path, flags)
    })
  }

  entries(node: Node): Promise<readonly Dirent[]> {
    return this.inDirectory(node, (path) => readdir(path, { encoding: 'latin1', withFileTypes: true }))
  }

  /** The path of a node below the root, empty for that. */
  #pathOf(node: Node): string {
    const names: string[] = []
    let at = node
    for (; at.parent !== undefined; at = at.parent) names.push(at.name)
    if (at !== this.#root) throw new Refusal('ESTALE')
    return names.reverse().reduce((path, name) => `${path}/${name}`, '')
  }

  /** Lets the guest have another owner for a file than it has here, where it belongs to this process's user. False where there are too many. */
  own(stats: BigIntStats, owner: Owner): boolean {
    const key = ownerKeyOf(stats)
    if (this.#owners.size >= MOST_OWNERS && !this.#owners.has(key)) return false
    this.#owners.set(key, owner)
    return true
  }

  /** A name of the file is gone: the last one, unless it has others. */
  disown(stats: BigIntStats): void {
    if (stats.nlink === 1n || stats.isDirectory()) this.#owners.delete(ownerKeyOf(stats))
  }

  attributesOf(stats: BigIntStats): Attributes {
    const { ino, size, blocks, blksize, mode, nlink, atimeNs, mtimeNs, ctimeNs } = stats
    const { uid, gid } = this.#owners.get(ownerKeyOf(stats)) ?? { uid: Number(stats.uid), gid: Number(stats.gid) }
    return { ino, size, blocks, blksize, mode, nlink, atimeNs, mtimeNs, ctimeNs, uid, gid }
  }
}

/** A path of the file system, whose bytes are one character each. */
export function bytes(path: string): Buffer {
  return Buffer.from(path, 'latin1')
}

function makeNode(id: number, parent: Node | undefined, name: string, inode: string): Node {
  return { id, parent, name, inode, children: new Map(), open: new Set(), lookups: 0 }
}

function detach(node: Node): void {
  if (node.parent?.children.get(node.name) === node) node.parent.children.delete(node.name)
  node.parent = undefined
}

/** A number that is used again may be of something else: its type is part of it. */
function inodeOf({ dev, ino, mode }: BigIntStats): string {
  return `${dev}:${ino}:${mode & BigInt(constants.S_IFMT)}`
}

/** An inode that is used again is another file. */
function ownerKeyOf(stats: BigIntStats): string {
  return `${inodeOf(stats)}:${stats.birthtimeNs}`
}
