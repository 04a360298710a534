import { constants } from 'node:fs'
import { type FileHandle, open, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { TransferError } from './message-stream.ts'

// A path is a question that the file system answers anew each time: what was a directory may be a link by then. So what matters is
// asked of what was opened, which stays what it is.

/**
 * Opens what is at a path below a directory, and nothing that a symbolic link on the way or at the end leads to.
 * @param root as `realpath` has it
 * @throws TransferError where there is a link; what `open` throws
 */
export async function openWithin(root: string, path: string, flags: number): Promise<FileHandle> {
  const absolute = join(root, path)
  // Without O_NONBLOCK a pipe that somebody put there would be waited for.
  const file = await open(absolute, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((thrown) => {
    throw isLinkError(thrown) ? behindLink(path) : thrown
  })
  try {
    // Elsewhere than on Linux a link on the way is not noticed.
    if (process.platform === 'linux' && (await readlink(`/proc/self/fd/${file.fd}`)) !== absolute)
      throw behindLink(path)
    return file
  } catch (thrown) {
    await file.close()
    throw thrown
  }
}

/** Does something in a directory below `root`, whatever becomes of its path meanwhile. @param work takes a path of the directory */
export async function inDirectory<T>(root: string, directory: string, work: (path: string) => Promise<T>): Promise<T> {
  const handle = await openWithin(root, directory, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    return await work(process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : join(root, directory))
  } finally {
    await handle.close()
  }
}

function isLinkError(thrown: unknown): boolean {
  return ['ELOOP', 'ENOTDIR'].includes((thrown as NodeJS.ErrnoException).code ?? '')
}

function behindLink(path: string): TransferError {
  return new TransferError(`${JSON.stringify(path)} was replaced during the transfer, or is behind a link`)
}
