import { createHash, type Hash } from 'node:crypto'
import { lstat, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Stands for the content of a file or a directory: names, sizes, times, modes and owners, which is what BuildKit's file sync
 * compares as well. No file is read.
 */
export async function contentKeyOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  await add(hash, path, '')
  return hash.digest('hex')
}

async function add(hash: Hash, root: string, below: string): Promise<void> {
  const path = join(root, below)
  const stats = await lstat(path, { bigint: true })
  const target = stats.isSymbolicLink() ? await readlink(path) : ''
  // A directory's own size and time change with what is in it, and say nothing more.
  const content = stats.isDirectory() ? [] : [stats.size, stats.mtimeNs]
  hash.update(`${JSON.stringify([below, stats.mode, stats.uid, stats.gid, ...content, target].map(String))}\n`)
  if (!stats.isDirectory()) return
  for (const name of (await readdir(path)).sort()) await add(hash, root, join(below, name))
}
