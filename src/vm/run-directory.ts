import { chmod, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

const PREFIX = 'testkernels-'

/**
 * A private directory (0700) for the sockets of one VM: `testkernels-PID-XXXXXX`. Short, because the path of a unix socket
 * has 107 bytes at most.
 */
export async function makeRunDirectory(runtimeDirectory: string): Promise<string> {
  const path = await mkdtemp(join(runtimeDirectory, `${PREFIX}${process.pid}-`))
  await chmod(path, 0o700)
  return path
}

/**
 * Removes the directories that killed processes of this user left. Their sockets went with their containers
 * (images/runner/supervise); what is left is empty.
 */
export async function sweepRunDirectories(runtimeDirectory: string): Promise<void> {
  for (const name of await readdir(runtimeDirectory)) {
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
