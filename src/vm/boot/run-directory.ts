import { randomInt } from 'node:crypto'
import { chown, lstat } from 'node:fs/promises'
import { join } from 'node:path'
import {
  abandonedDirectories,
  DirectoryUnusableError,
  directoryUnusable,
  makeOwnedDirectory,
  type OwnedDirectory,
  ownedDirectories,
  removeOurs,
} from '../../files/index.ts'
import { forwardSocket } from '../../forward/index.ts'
import { thisUser, type UserIds } from '../../host/index.ts'
import { Disposals } from '../../lifetime/index.ts'
import { type ForwardOptions, forwardName } from '../../options/index.ts'
import { HOST_PORTS_SOCKET } from '../guest-settings.ts'

/** Nobody's (systemd's documentation, "Users, Groups, UIDs and GIDs", has them as unused). */
const UNUSED_UIDS = [60_578, 61_184] as const

/** A private directory (0700) for the sockets of one VM: `testkernels-PID-XXXXXX`. Goes when it is disposed. */
export interface RunDirectory extends OwnedDirectory {
  /** Who may use it beside root. */
  readonly owner: UserIds
}

export interface RunDirectoryOptions {
  /** Who may use it beside root, where there is such a user. @default the user of this process */
  readonly owner?: UserIds
  /** Whose sockets are to fit into it. @default none */
  readonly forwards?: readonly ForwardOptions[]
}

/** @throws DirectoryUnusableError, before anything is started */
export async function makeRunDirectory(
  runtimeDirectory: string,
  { owner = thisUser(), forwards = [] }: RunDirectoryOptions = {},
): Promise<RunDirectory> {
  const sockets = [HOST_PORTS_SOCKET, ...forwards.map((forward) => forwardSocket(forwardName(forward)))]
  const longest = sockets.reduce((one, other) => (other.length > one.length ? other : one))
  const place = { parent: runtimeDirectory, purpose: 'the sockets of VMs', variable: 'TESTKERNELS_RUN_DIR' }
  try {
    await using made = new Disposals()
    const directory = made.use('run directory', await makeOwnedDirectory(place, longest))
    const given = await give(directory.path, owner)
    made.move()
    return { ...directory, owner: given }
  } catch (cause) {
    throw cause instanceof DirectoryUnusableError ? cause : directoryUnusable(place, 'cannot be written', cause)
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
  for (const path of await abandonedRunDirectories(runtimeDirectory)) await removeOurs(path)
}

/** The directories of this user whose owners are no more. */
export async function abandonedRunDirectories(runtimeDirectory: string): Promise<readonly string[]> {
  return await abandonedDirectories(runtimeDirectory, isOurs)
}

/** A socket that VMs of this user have in their run directories, of those that have it, whatever became of their owners. */
export async function socketsOfVms(runtimeDirectory: string, name: string): Promise<readonly string[]> {
  const sockets: string[] = []
  for (const { path } of await ownedDirectories(runtimeDirectory, isOurs)) {
    const socket = join(path, name)
    const found = await lstat(socket).catch(() => undefined)
    // The directory is QEMU's as well, which could put something else in its place.
    if (found?.isSocket() && found.uid === thisUser().uid) sockets.push(socket)
  }
  return sockets
}

/** The directory may be shared, as /tmp is: what others have there is not ours to remove. */
function isOurs(owner: number): boolean {
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
