import { type Dirent, constants as fsConstants } from 'node:fs'
import { type FileHandle, readlink, rmdir, statfs, unlink } from 'node:fs/promises'
import type { MountAccess } from '../options/index.ts'
import {
  attributesAnswer,
  type DirectoryEntry,
  entriesAnswer,
  entryAnswer,
  initBody,
  openAnswer,
  statfsAnswer,
  writtenAnswer,
} from './answers.ts'
import {
  changeAttributes,
  createFile,
  linkTo,
  makeDirectory,
  makeFile,
  makeLink,
  readChange,
  remove,
  renameTo,
  told,
  truncate,
} from './changes.ts'
import { type FuseRequest, MOST_DATA_BYTES, opcodes, Refusal } from './requests.ts'
import { bytes, type Node, O_ACCMODE, type SharedTree } from './shared-tree.ts'

/** Files and directories that a guest may have open at a time. */
const MOST_HANDLES = 1_024
/** Names in the directories that are open. */
const MOST_ENTRIES = 1_000_000

type Handle =
  | { readonly kind: 'file'; readonly file: FileHandle; readonly node: Node }
  | { readonly kind: 'directory'; readonly entries: readonly DirectoryEntry[] }

/** What becomes of a request: the body of its answer, or that it has none. */
type Done = Buffer | 'unanswered'
const NOTHING = Buffer.alloc(0)

interface Operation {
  readonly does: (request: FuseRequest) => Promise<Done> | Done
  readonly changes?: true
}

/** A directory that is served to one guest: what each of its requests does. */
export class Share {
  readonly #tree: SharedTree
  readonly #access: MountAccess
  readonly #handles = new Map<number, Handle>()
  #lastHandle = 0
  #entries = 0

  readonly #operations: Readonly<Record<number, Operation>> = {
    [opcodes.init]: { does: ({ body }) => initBody(body) },
    [opcodes.destroy]: { does: () => NOTHING },
    [opcodes.interrupt]: { does: () => 'unanswered' },
    [opcodes.forget]: { does: ({ node, body }) => this.#forget(node, body.u64()) },
    [opcodes.batchForget]: { does: (request) => this.#forgetAll(request) },
    [opcodes.lookup]: { does: ({ node, body }) => this.#entry(this.#tree.node(node), body.name()) },
    [opcodes.getattr]: { does: ({ node }) => this.#attributes(this.#tree.node(node)) },
    [opcodes.statfs]: { does: ({ node }) => this.#statfs(this.#tree.node(node)) },
    [opcodes.readlink]: { does: ({ node }) => this.#readlink(this.#tree.node(node)) },
    [opcodes.opendir]: { does: ({ node }) => this.#openDirectory(this.#tree.node(node)) },
    [opcodes.readdir]: { does: (request) => this.#readDirectory(request) },
    [opcodes.releasedir]: { does: ({ body }) => this.#release(body.u64()) },
    [opcodes.fsyncdir]: { does: () => NOTHING },
    [opcodes.open]: { does: ({ node, body }) => this.#openFile(this.#tree.node(node), body.u32()) },
    [opcodes.read]: { does: (request) => this.#read(request) },
    [opcodes.release]: { does: ({ body }) => this.#release(body.u64()) },
    [opcodes.fsync]: { does: ({ body }) => this.#sync(body.u64()) },
    [opcodes.write]: { changes: true, does: (request) => this.#write(request) },
    [opcodes.setattr]: { changes: true, does: (request) => this.#setAttributes(request) },
    [opcodes.create]: { changes: true, does: (request) => this.#create(request) },
    [opcodes.mknod]: { changes: true, does: (request) => makeFile(this.#tree, request) },
    [opcodes.mkdir]: { changes: true, does: (request) => makeDirectory(this.#tree, request) },
    [opcodes.symlink]: { changes: true, does: (request) => makeLink(this.#tree, request) },
    [opcodes.link]: { changes: true, does: (request) => linkTo(this.#tree, request) },
    [opcodes.unlink]: { changes: true, does: (request) => remove(this.#tree, request, unlink) },
    [opcodes.rmdir]: { changes: true, does: (request) => remove(this.#tree, request, rmdir) },
    [opcodes.rename]: { changes: true, does: (request) => renameTo(this.#tree, request) },
  }

  constructor(tree: SharedTree, access: MountAccess) {
    this.#tree = tree
    this.#access = access
  }

  /** @throws Refusal; what the file system of this machine says; FuseProtocolError */
  async answer(request: FuseRequest): Promise<Done> {
    const operation = this.#operations[request.opcode]
    if (operation === undefined) throw new Refusal('ENOSYS')
    if (operation.changes === true) this.#mayChange()
    return await operation.does(request)
  }

  /** Closes all that is open. */
  async close(): Promise<void> {
    await Promise.allSettled([...this.#handles.keys()].map((handle) => this.#release(handle)))
  }

  #mayChange(): void {
    if (this.#access === 'read-only') throw new Refusal('EROFS')
  }

  #forget(node: number, count: number): Done {
    this.#tree.forget(node, count)
    return 'unanswered'
  }

  #forgetAll({ body }: FuseRequest): Done {
    const count = body.u32()
    body.skip(4)
    for (let at = 0; at < count; at++) this.#tree.forget(body.u64(), body.u64())
    return 'unanswered'
  }

  async #entry(parent: Node, name: string): Promise<Buffer> {
    const { node, stats } = await this.#tree.lookUp(parent, name)
    return entryAnswer(node.id, this.#tree.attributesOf(stats))
  }

  async #attributes(node: Node): Promise<Buffer> {
    return attributesAnswer(this.#tree.attributesOf(await this.#tree.statsOf(node)))
  }

  async #statfs(node: Node): Promise<Buffer> {
    return statfsAnswer(await this.#tree.pinned(node, (path) => statfs(path, { bigint: true })))
  }

  async #readlink(node: Node): Promise<Buffer> {
    const { parent, name } = node
    if (parent === undefined) throw new Refusal('ESTALE')
    const read = (directory: string) => readlink(bytes(`${directory}/${name}`), { encoding: 'buffer' })
    return await this.#tree.inDirectory(parent, read)
  }

  #keep(handle: Handle): number {
    this.#handles.set(++this.#lastHandle, handle)
    return this.#lastHandle
  }

  #needHandle(): void {
    if (this.#handles.size >= MOST_HANDLES) throw new Refusal('ENFILE')
  }

  async #openDirectory(node: Node): Promise<Buffer> {
    this.#needHandle()
    const found = await this.#tree.entries(node)
    if (this.#entries + found.length > MOST_ENTRIES) throw new Refusal('ENFILE')
    this.#entries += found.length
    const entries = [dot('.'), dot('..'), ...found.map((entry) => ({ name: entry.name, type: typeOf(entry) }))]
    return openAnswer(this.#keep({ kind: 'directory', entries }))
  }

  #readDirectory({ body }: FuseRequest): Buffer {
    const handle = this.#handles.get(body.u64())
    if (handle?.kind !== 'directory') throw new Refusal('EBADF')
    return entriesAnswer(handle.entries, body.u64(), body.u32())
  }

  async #openFile(node: Node, flags: number): Promise<Buffer> {
    const { O_TRUNC, O_APPEND } = fsConstants
    if ((flags & O_ACCMODE) !== 0 || (flags & O_TRUNC) !== 0) this.#mayChange()
    this.#needHandle()
    const file = await this.#tree.openFile(node, flags & (O_ACCMODE | O_TRUNC | O_APPEND))
    return openAnswer(this.#opened(file, node))
  }

  #opened(file: FileHandle, node: Node): number {
    node.open.add(file)
    return this.#keep({ kind: 'file', file, node })
  }

  #file(handle: number): FileHandle {
    const kept = this.#handles.get(handle)
    if (kept?.kind !== 'file') throw new Refusal('EBADF')
    return kept.file
  }

  async #read({ body }: FuseRequest): Promise<Buffer> {
    const [file, offset, size] = [this.#file(body.u64()), body.u64(), body.u32()]
    const buffer = Buffer.allocUnsafe(Math.min(size, MOST_DATA_BYTES))
    const { bytesRead } = await file.read(buffer, 0, buffer.length, offset)
    return buffer.subarray(0, bytesRead)
  }

  async #write({ body }: FuseRequest): Promise<Buffer> {
    const [file, offset, size] = [this.#file(body.u64()), body.u64(), body.u32()]
    body.skip(20)
    const { bytesWritten } = await file.write(body.data(size), 0, size, offset)
    return writtenAnswer(bytesWritten)
  }

  async #sync(handle: number): Promise<Buffer> {
    await this.#file(handle).sync()
    return NOTHING
  }

  async #release(handle: number): Promise<Buffer> {
    const kept = this.#handles.get(handle)
    this.#handles.delete(handle)
    if (kept?.kind === 'directory') this.#entries -= kept.entries.length - 2
    if (kept?.kind !== 'file') return NOTHING
    kept.node.open.delete(kept.file)
    await kept.file.close()
    return NOTHING
  }

  async #setAttributes({ node: id, body }: FuseRequest): Promise<Buffer> {
    const node = this.#tree.node(id)
    const change = readChange(body)
    const { size, handle } = change
    if (size !== undefined && handle !== undefined) await this.#file(handle).truncate(size)
    else if (size !== undefined) await truncate(this.#tree, node, size)
    await changeAttributes(this.#tree, node, change)
    return await this.#attributes(node)
  }

  async #create(request: FuseRequest): Promise<Buffer> {
    this.#needHandle()
    const { node, file } = await createFile(this.#tree, request)
    return Buffer.concat([await told(this.#tree, node), openAnswer(this.#opened(file, node))])
  }
}

function dot(name: string): DirectoryEntry {
  return { name, type: fsConstants.S_IFDIR >> 12 }
}

/** The four bits of a mode that say it. */
function typeOf(entry: Dirent): number {
  const { S_IFDIR, S_IFLNK, S_IFIFO, S_IFCHR, S_IFBLK, S_IFSOCK, S_IFREG } = fsConstants
  if (entry.isFile()) return S_IFREG >> 12
  if (entry.isDirectory()) return S_IFDIR >> 12
  if (entry.isSymbolicLink()) return S_IFLNK >> 12
  if (entry.isFIFO()) return S_IFIFO >> 12
  if (entry.isSocket()) return S_IFSOCK >> 12
  return (entry.isBlockDevice() ? S_IFBLK : S_IFCHR) >> 12
}
