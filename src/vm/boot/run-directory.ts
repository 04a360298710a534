import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { chown, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { thisUser, type UserIds } from '../../host/index.ts'
import { DirectoryUnusableError } from '../errors.ts'
import { CONTROL_SOCKET } from '../machine.ts'

const PREFIX = 'testkernels-'
/** Has this name until it is known to live. */
const NEW_PREFIX = 'testkernels-new-'
const NAME = /^testkernels-(new|\d+)-\w{6}$/
/** Answers as long as the owner lives: the kernel closes it when that process ends, for whatever reason, and whatever its namespaces are. */
const ALIVE_SOCKET = 'alive.sock'
/** What fits into the address of a unix socket, on the system with the shortest. */
const SOCKET_PATH_MAX_BYTES = 103
/** From its first file to its name it takes milliseconds. */
const NEW_FOR_MS = 60_000
/** Nobody's (systemd's documentation, "Users, Groups, UIDs and GIDs", has them as unused). */
const UNUSED_UIDS = [60_578, 61_184] as const

/** A private directory (0700) for the sockets of one VM: `testkernels-PID-XXXXXX`. Goes when it is disposed. */
export interface RunDirectory extends AsyncDisposable {
  readonly path: string
  readonly owner: UserIds
}

/**
 * @param owner who may use it beside root, where there is such a user
 * @throws DirectoryUnusableError, before anything is started
 */
export async function makeRunDirectory(runtimeDirectory: string, owner = thisUser()): Promise<RunDirectory> {
  const unusable = (why: string, cause?: unknown) =>
    new DirectoryUnusableError({
      what: `the directory ${runtimeDirectory} for the sockets of VMs ${why}`,
      remedy: 'set TESTKERNELS_RUN_DIR to a directory that this user can write, with a short path such as /tmp',
      cause,
    })
  const longest = join(runtimeDirectory, `${PREFIX}${process.pid}-XXXXXX`, CONTROL_SOCKET)
  if (Buffer.byteLength(longest) > SOCKET_PATH_MAX_BYTES) throw unusable('has too long a path')
  try {
    await mkdir(runtimeDirectory, { recursive: true })
    // Private from the start: mkdtemp's mode is 0700.
    const made = await mkdtemp(join(runtimeDirectory, NEW_PREFIX))
    const alive = await listen(join(made, ALIVE_SOCKET))
    const path = join(runtimeDirectory, `${PREFIX}${process.pid}-${made.slice(-6)}`)
    const given = await give(made, owner)
    await rename(made, path)
    return { path, owner: given, [Symbol.asyncDispose]: () => remove(path, alive) }
  } catch (cause) {
    throw unusable('cannot be written', cause)
  }
}

/**
 * The user that QEMU runs as: this process's; for root one who owns nothing else, another for each VM. An attacker who has taken over
 * a QEMU, and has left its container, is nobody on the host then.
 */
export function qemuUser(): UserIds {
  const user = thisUser()
  if (user.uid !== 0) return user
  const id = randomInt(...UNUSED_UIDS)
  return { uid: id, gid: id }
}

/**
 * Removes the directories of this user whose owners were killed. Their sockets went with their containers (images/runner/supervise);
 * what is left is empty.
 */
export async function sweepRunDirectories(runtimeDirectory: string): Promise<void> {
  for (const path of await abandonedRunDirectories(runtimeDirectory)) await rm(path, { recursive: true, force: true })
}

/** The directories of this user whose owners are no more. */
export async function abandonedRunDirectories(runtimeDirectory: string): Promise<readonly string[]> {
  const abandoned: string[] = []
  for (const name of await readdir(runtimeDirectory).catch(() => [])) {
    const path = join(runtimeDirectory, name)
    const found = NAME.test(name) ? await stat(path).catch(() => undefined) : undefined
    if (found === undefined || !isOurs(found)) continue
    // One that is being made has no socket yet.
    if (name.startsWith(NEW_PREFIX) && Date.now() - found.mtimeMs <= NEW_FOR_MS) continue
    if (!(await answers(join(path, ALIVE_SOCKET)))) abandoned.push(path)
  }
  return abandoned
}

/** The directory may be shared, as /tmp is: what others have there is not ours to remove. */
function isOurs({ uid: owner }: UserIds): boolean {
  const { uid } = thisUser()
  return owner === uid || (uid === 0 && owner >= UNUSED_UIDS[0] && owner < UNUSED_UIDS[1])
}

/** @returns whose it is then: root of a user namespace may have nobody in it to give files to, and keeps them. */
async function give(path: string, owner: UserIds): Promise<UserIds> {
  const user = thisUser()
  if (owner.uid === user.uid) return owner
  try {
    await chown(path, owner.uid, owner.gid)
    return owner
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException
    if (user.uid === 0 && (code === 'EINVAL' || code === 'EPERM')) return user
    throw thrown
  }
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

async function remove(path: string, alive: Server): Promise<void> {
  await rm(path, { recursive: true, force: true })
  alive.close()
}
