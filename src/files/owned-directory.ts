import { once } from 'node:events'
import { lstat, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { basename, join } from 'node:path'
import { TestkernelsError } from '../errors/index.ts'

/** What has no socket yet, or will have none. */
const NEW_PREFIX = 'testkernels-new-'
const NAME = /^testkernels-(new|\d+)-\w{6}$/
/** Answers as long as the owner lives: the kernel closes it when that process ends, for whatever reason, and whatever its namespaces are. */
const ALIVE_SOCKET = 'alive.sock'
/** What fits into the address of a unix socket, on the system with the shortest. */
const SOCKET_PATH_MAX_BYTES = 103
/** It takes milliseconds. */
const NEW_FOR_MS = 60_000

/** A directory of ours on this machine cannot be written, or its path is too long for a socket. */
export class DirectoryUnusableError extends TestkernelsError {
  readonly code = 'DIRECTORY_UNUSABLE'
}

/** Where a directory is made, and what for. */
export interface DirectoryPlace {
  /** It is made where it is not there. */
  readonly parent: string
  /** What is in it, as in `the directory /tmp for the sockets of VMs`. */
  readonly purpose: string
  /** The environment variable that names another parent. */
  readonly variable: string
}

/** Why nothing can be made in it. */
export function directoryUnusable(
  { parent, purpose, variable }: DirectoryPlace,
  why: string,
  cause?: unknown,
): DirectoryUnusableError {
  return new DirectoryUnusableError({
    what: `the directory ${parent} for ${purpose} ${why}`,
    remedy: `set ${variable} to a directory that this user can write, with a short path such as /tmp`,
    cause,
  })
}

/** A private directory (0700) that goes when it is disposed; when its owner is killed, with the next sweep. */
export interface OwnedDirectory extends AsyncDisposable {
  readonly path: string
}

/**
 * @param longestSocket of the names of the sockets that it gets
 * @throws DirectoryUnusableError, before anything is made
 */
export async function makeOwnedDirectory(place: DirectoryPlace, longestSocket: string): Promise<OwnedDirectory> {
  const { parent } = place
  // libuv 1.46, for one, cuts a longer one off and makes the socket somewhere else.
  const longest = [join(parent, `${NEW_PREFIX}XXXXXX`, ALIVE_SOCKET), join(ownedPath(parent, 'XXXXXX'), longestSocket)]
  if (longest.some((path) => Buffer.byteLength(path) > SOCKET_PATH_MAX_BYTES))
    throw directoryUnusable(place, 'has too long a path')
  const made = await makeBriefDirectory(place)
  let alive: Server | undefined
  try {
    alive = await listen(join(made, ALIVE_SOCKET))
    const path = ownedPath(parent, made.slice(-6))
    await rename(made, path)
    return { path, [Symbol.asyncDispose]: () => remove(path, alive) }
  } catch (cause) {
    await remove(made, alive)
    throw directoryUnusable(place, 'cannot be written', cause)
  }
}

/**
 * A private directory for a moment. If its owner is killed in that, it goes with the next sweep that comes a minute later.
 * @throws DirectoryUnusableError
 */
export async function makeBriefDirectory(place: DirectoryPlace): Promise<string> {
  try {
    await mkdir(place.parent, { recursive: true })
    // Private from the start: mkdtemp's mode is 0700.
    return await mkdtemp(join(place.parent, NEW_PREFIX))
  } catch (cause) {
    throw directoryUnusable(place, 'cannot be written', cause)
  }
}

/**
 * Where an owned directory is. For people it has the number of its process, by which nothing is decided.
 * @param suffix six characters that make it unique
 */
function ownedPath(parent: string, suffix: string): string {
  return join(parent, `testkernels-${process.pid}-${suffix}`)
}

/**
 * The owned directories of a parent whose owners are no more.
 * @param isOurs as `ownedDirectories` has it
 */
export async function abandonedDirectories(
  parent: string,
  isOurs: (uid: number) => boolean,
): Promise<readonly string[]> {
  const abandoned: string[] = []
  for (const { path, modifiedMs } of await ownedDirectories(parent, isOurs)) {
    // One that is being made, or is there for a moment, has no socket.
    if (basename(path).startsWith(NEW_PREFIX) && Date.now() - modifiedMs <= NEW_FOR_MS) continue
    if (!(await answers(join(path, ALIVE_SOCKET)))) abandoned.push(path)
  }
  return abandoned
}

export interface FoundDirectory {
  readonly path: string
  readonly modifiedMs: number
}

/**
 * The owned directories of a parent, whatever became of their owners.
 * @param isOurs whether what this user has there is to be looked at: the parent may be shared, as /tmp is
 */
export async function ownedDirectories(
  parent: string,
  isOurs: (uid: number) => boolean,
): Promise<readonly FoundDirectory[]> {
  const owned: FoundDirectory[] = []
  for (const name of await readdir(parent).catch(() => [])) {
    const path = join(parent, name)
    // A link that somebody put into a directory for all leads to what is none of these.
    const found = NAME.test(name) ? await lstat(path).catch(() => undefined) : undefined
    if (found?.isDirectory() && isOurs(found.uid)) owned.push({ path, modifiedMs: found.mtimeMs })
  }
  return owned
}

async function listen(path: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy())
  server.listen(path)
  await once(server, 'listening')
  // It says that this process lives, and does not keep it alive.
  return server.unref()
}

/** Whether somebody listens. In doubt, yes: what lives must not be taken for dead. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ENOENT' && code !== 'ECONNREFUSED'))
  })
}

async function remove(path: string, alive: Server | undefined): Promise<void> {
  await rm(path, { recursive: true, force: true })
  alive?.close()
}
