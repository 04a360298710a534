import { type BigIntStats, constants } from 'node:fs'
import { chmod, type FileHandle, link, lstat, lutimes, mkdir, open, rename, symlink, utimes } from 'node:fs/promises'
import { entryAnswer } from './answers.ts'
import { type FuseRequest, Refusal, type RequestBody } from './requests.ts'
import { bytes, type Node, O_ACCMODE, type SharedTree } from './shared-tree.ts'

/** Of a mode, what a guest may set: nothing that runs as another user. */
const PERMISSIONS = 0o777
const NS_PER_S = 1_000_000_000
const NOTHING = Buffer.alloc(0)

/** What is asked to become of a file; undefined for what stays. */
export interface Change {
  readonly mode: number | undefined
  readonly uid: number | undefined
  readonly gid: number | undefined
  readonly size: number | undefined
  /** The open file whose size it is. */
  readonly handle: number | undefined
  /** In seconds. */
  readonly atime: number | undefined
  readonly mtime: number | undefined
}

export function readChange(body: RequestBody): Change {
  const valid = body.u32()
  body.skip(4)
  const [handle, size] = [body.u64(), body.u64()]
  body.skip(8)
  const [atimeS, mtimeS] = [body.u64(), body.u64()]
  body.skip(8)
  const [atimeNs, mtimeNs] = [body.u32(), body.u32()]
  body.skip(4)
  const mode = body.u32()
  body.skip(4)
  const [uid, gid] = [body.u32(), body.u32()]
  const isValid = (bit: number) => (valid & (1 << bit)) !== 0
  /** The second bit stands for this moment. */
  const time = (bit: number, now: number, value: number) => {
    if (isValid(now)) return Date.now() / 1000
    return isValid(bit) ? value : undefined
  }
  return {
    mode: isValid(0) ? mode : undefined,
    uid: isValid(1) ? uid : undefined,
    gid: isValid(2) ? gid : undefined,
    size: isValid(3) ? size : undefined,
    handle: isValid(6) ? handle : undefined,
    atime: time(4, 7, atimeS + atimeNs / NS_PER_S),
    mtime: time(5, 8, mtimeS + mtimeNs / NS_PER_S),
  }
}

export async function truncate(tree: SharedTree, node: Node, size: number): Promise<void> {
  await using file = await tree.openFile(node, constants.O_WRONLY)
  await file.truncate(size)
}

/** All but the size. */
export async function changeAttributes(tree: SharedTree, node: Node, change: Change): Promise<void> {
  const [file] = node.open
  // What is open may have no name any more.
  if (file !== undefined) await changeFile(file, change)
  else await tree.pinned(node, (path, stats) => changePath(tree, node, { path, stats, change }))
  const { uid, gid } = change
  if (uid === undefined && gid === undefined) return
  const stats = await tree.statsOf(node)
  const before = tree.attributesOf(stats)
  if (!tree.own(stats, { uid: uid ?? before.uid, gid: gid ?? before.gid })) throw new Refusal('ENOSPC')
}

async function changeFile(file: FileHandle, change: Change): Promise<void> {
  if (change.mode !== undefined) await file.chmod(change.mode & PERMISSIONS)
  const times = timesOf(change, await file.stat({ bigint: true }))
  if (times !== undefined) await file.utimes(...times)
}

async function changePath(
  tree: SharedTree,
  { parent, name }: Node,
  { path, stats, change }: { readonly path: string; readonly stats: BigIntStats; readonly change: Change },
): Promise<void> {
  const times = timesOf(change, stats)
  if (!stats.isSymbolicLink()) {
    if (change.mode !== undefined) await chmod(path, change.mode & PERMISSIONS)
    if (times !== undefined) await utimes(path, ...times)
  } else if (times !== undefined && parent !== undefined)
    await tree.inDirectory(parent, (directory) => lutimes(bytes(`${directory}/${name}`), ...times))
}

function timesOf({ atime, mtime }: Change, { atimeNs, mtimeNs }: BigIntStats): [number, number] | undefined {
  if (atime === undefined && mtime === undefined) return undefined
  return [atime ?? Number(atimeNs) / NS_PER_S, mtime ?? Number(mtimeNs) / NS_PER_S]
}

/** The answer that tells the guest of a node. */
export async function told(tree: SharedTree, node: Node): Promise<Buffer> {
  return entryAnswer(node.id, tree.attributesOf(await tree.statsOf(node)))
}

/** What was just made has the mode that was asked for, whatever this process's umask is, and in the guest its maker as its owner. */
async function made(
  tree: SharedTree,
  { parent, name, mode }: { readonly parent: Node; readonly name: string; readonly mode?: number },
  { uid, gid }: FuseRequest,
): Promise<Node> {
  const { node } = await tree.lookUp(parent, name)
  try {
    await tree.pinned(node, async (path, stats) => {
      if (mode !== undefined) await chmod(path, mode & PERMISSIONS)
      tree.own(stats, { uid, gid })
    })
    return node
  } catch (thrown) {
    tree.forget(node.id, 1)
    throw thrown
  }
}

/** Makes and opens a file, or opens the one that is there already unless it must be new. */
export async function createFile(
  tree: SharedTree,
  request: FuseRequest,
): Promise<{ readonly node: Node; readonly file: FileHandle }> {
  const { body } = request
  const parent = tree.node(request.node)
  const [flags, mode] = [body.u32(), body.u32()]
  body.skip(8)
  const name = body.name()
  const { O_APPEND, O_TRUNC, O_CREAT, O_EXCL } = constants
  let file: FileHandle
  try {
    const how = (flags & (O_ACCMODE | O_APPEND)) | O_CREAT | O_EXCL
    const make = (directory: string) => open(bytes(`${directory}/${name}`), how, mode & PERMISSIONS)
    file = await tree.inDirectory(parent, make)
  } catch (thrown) {
    if ((flags & O_EXCL) !== 0 || (thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown
    const { node } = await tree.lookUp(parent, name)
    return { node, file: await tree.openFile(node, flags & (O_ACCMODE | O_APPEND | O_TRUNC)) }
  }
  try {
    return { node: await made(tree, { parent, name, mode }, request), file }
  } catch (thrown) {
    await file.close()
    throw thrown
  }
}

/** Of sockets, pipes and devices there are none. */
export async function makeFile(tree: SharedTree, request: FuseRequest): Promise<Buffer> {
  const { body } = request
  const parent = tree.node(request.node)
  const mode = body.u32()
  body.skip(12)
  const name = body.name()
  if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw new Refusal('EPERM')
  const { O_WRONLY, O_CREAT, O_EXCL } = constants
  await tree.inDirectory(parent, async (directory) => {
    const file = await open(bytes(`${directory}/${name}`), O_WRONLY | O_CREAT | O_EXCL, mode & PERMISSIONS)
    await file.close()
  })
  return await told(tree, await made(tree, { parent, name, mode }, request))
}

export async function makeDirectory(tree: SharedTree, request: FuseRequest): Promise<Buffer> {
  const { body } = request
  const parent = tree.node(request.node)
  const mode = body.u32()
  body.skip(4)
  const name = body.name()
  await tree.inDirectory(parent, (directory) => mkdir(bytes(`${directory}/${name}`), mode & PERMISSIONS))
  return await told(tree, await made(tree, { parent, name, mode }, request))
}

/** A symbolic link says what the guest wants: nothing here follows it. */
export async function makeLink(tree: SharedTree, request: FuseRequest): Promise<Buffer> {
  const { body } = request
  const parent = tree.node(request.node)
  const [name, target] = [body.name(), body.text()]
  await tree.inDirectory(parent, (directory) => symlink(bytes(target), bytes(`${directory}/${name}`)))
  return await told(tree, await made(tree, { parent, name }, request))
}

export async function linkTo(tree: SharedTree, { node, body }: FuseRequest): Promise<Buffer> {
  const to = tree.node(node)
  const { parent: from, name: known } = tree.node(body.u64())
  const name = body.name()
  if (from === undefined) throw new Refusal('ESTALE')
  await tree.inDirectory(from, (there) =>
    tree.inDirectory(to, (here) => link(bytes(`${there}/${known}`), bytes(`${here}/${name}`))),
  )
  const found = await tree.lookUp(to, name)
  return entryAnswer(found.node.id, tree.attributesOf(found.stats))
}

/** @param gone removes a path */
export async function remove(
  tree: SharedTree,
  { node, body }: FuseRequest,
  gone: (path: Buffer) => Promise<void>,
): Promise<Buffer> {
  const parent = tree.node(node)
  const name = body.name()
  await tree.inDirectory(parent, async (directory) => {
    const path = bytes(`${directory}/${name}`)
    const stats = await lstat(path, { bigint: true })
    await gone(path)
    tree.disown(stats)
  })
  tree.removed(parent, name)
  return NOTHING
}

export async function renameTo(tree: SharedTree, { node, body }: FuseRequest): Promise<Buffer> {
  const from = tree.node(node)
  const to = tree.node(body.u64())
  const [name, newName] = [body.name(), body.name()]
  await tree.inDirectory(from, (there) =>
    tree.inDirectory(to, async (here) => {
      const target = bytes(`${here}/${newName}`)
      const replaced = await lstat(target, { bigint: true }).catch(() => undefined)
      await rename(bytes(`${there}/${name}`), target)
      if (replaced !== undefined) tree.disown(replaced)
    }),
  )
  tree.renamed(from, name, to, newName)
  return NOTHING
}
