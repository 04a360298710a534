import { chmod, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DirectoryUnusableError } from '../errors.ts'
import { CONTROL_SOCKET } from '../machine.ts'

const PREFIX = 'testkernels-'
/** What fits into the address of a unix socket, on the system with the shortest. */
const SOCKET_PATH_MAX_BYTES = 103

/**
 * A private directory (0700) for the sockets of one VM: `testkernels-PID-XXXXXX`.
 * @throws DirectoryUnusableError, before anything is started
 */
export async function makeRunDirectory(runtimeDirectory: string): Promise<string> {
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
    const path = await mkdtemp(join(runtimeDirectory, `${PREFIX}${process.pid}-`))
    await chmod(path, 0o700)
    return path
  } catch (cause) {
    throw unusable('cannot be written', cause)
  }
}

/**
 * Removes the directories that killed processes of this user left. Their sockets went with their containers
 * (images/runner/supervise); what is left is empty.
 */
export async function sweepRunDirectories(runtimeDirectory: string): Promise<void> {
  for (const name of await readdir(runtimeDirectory).catch(() => [])) {
    const pid = /^testkernels-(\d+)-\w{6}$/.exec(name)?.[1]
    if (pid === undefined || isAlive(Number(pid))) continue
    const path = join(runtimeDirectory, name)
    const owner = await stat(path).catch(() => undefined)
    if (owner?.uid === process.getuid?.()) await rm(path, { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM'
  }
}
