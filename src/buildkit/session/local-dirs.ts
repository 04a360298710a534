import { stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { resolve } from 'node:path'
import type { Metadata } from '@grpc/grpc-js'
import { TestkernelsError } from '../../errors/index.ts'
import { FileSync } from '../gen/filesync_pb.ts'
import { PacketSchema } from '../gen/fsutil_pb.ts'
import { sendDirectory } from './send-directory.ts'
import type { Attachable } from './services.ts'
import type { WalkOptions } from './walk.ts'

/** A directory of this machine that a solve may read. */
export interface LocalDir extends WalkOptions {
  readonly path: string
}

/** The directory cannot be sent to the engine. */
export class LocalDirError extends TestkernelsError {
  readonly code = 'LOCAL_DIR'
}

/** Serves the directories that a graph names with `llb.local(name)`. */
export function localDirs(dirs: Readonly<Record<string, LocalDir>>): Attachable {
  return {
    sharedKey: async () => {
      const keys = await Promise.all(Object.entries(dirs).map(([name, dir]) => keyOf(name, dir)))
      return JSON.stringify([hostname(), ...keys])
    },
    register: (services) =>
      services.stream(FileSync.method.diffCopy, PacketSchema, async (stream, metadata) => {
        const name = String(metadata.get('dir-name')[0])
        const dir = Object.hasOwn(dirs, name) ? dirs[name] : undefined
        if (dir === undefined) throw notOffered(name, Object.keys(dirs))
        await sendDirectory(stream, dir.path, narrowed(dir, metadata))
      }),
  }
}

/**
 * What BuildKit tells of the parts it needs is a list that grpc-js joins with commas and drops non-ASCII names from, so it
 * cannot be trusted. Only its question for the ignore file alone is plain, and worth an answer: the whole context would go
 * over twice.
 */
function narrowed(dir: LocalDir, metadata: Metadata): WalkOptions {
  const followPaths = metadata.get('followpaths').join(', ')
  return followPaths === '.dockerignore' ? { include: [followPaths] } : dir
}

/**
 * The engine skips files whose size, time, mode and owner are those of the last transfer with the same key, so the key
 * must tell one directory from any other: also from one that takes its path later, or has it in another container.
 */
async function keyOf(name: string, { path }: LocalDir): Promise<unknown[]> {
  const absolute = resolve(path)
  const stats = await stat(absolute).catch((cause: unknown) => {
    throw unreadable(absolute, cause)
  })
  if (!stats.isDirectory()) throw unreadable(absolute, new Error('it is not a directory'))
  return [name, absolute, stats.dev, stats.ino, stats.birthtimeMs]
}

function unreadable(path: string, cause: unknown): LocalDirError {
  return new LocalDirError({
    what: `cannot send the directory ${path} to the engine`,
    cause,
    remedy: 'correct the path, or make the directory readable',
  })
}

function notOffered(name: string, offered: readonly string[]): LocalDirError {
  return new LocalDirError({
    what: `the build asks for a local directory "${name}" that it was not given`,
    remedy: `give it with localDirs; given were: ${offered.join(', ') || 'none'}`,
  })
}
