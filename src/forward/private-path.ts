import { randomBytes } from 'node:crypto'
import { lstat, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ForwardDirectoryNotPrivateError, ForwardPathTakenError, ForwardPathTooLongError } from './errors.ts'

/** Longest path of a unix socket: `sun_path` without its NUL byte. */
const sunPathMaxBytes = process.platform === 'darwin' ? 103 : 107

export interface PrivatePath {
  readonly path: string
  /** A free name beside it, where the socket waits until it has its mode. */
  readonly birthPath: string
}

/** Checks that a socket at `path` can be made, and reached by nobody but us. */
export async function checkPrivatePath(path: string, entry?: string | undefined): Promise<PrivatePath> {
  const directory = dirname(path)
  const birthPath = join(directory, `.${randomBytes(3).toString('hex')}`)
  const bytes = Math.max(Buffer.byteLength(path), Buffer.byteLength(birthPath))
  if (bytes > sunPathMaxBytes)
    throw new ForwardPathTooLongError({
      what: `the socket path ${path} needs ${bytes} bytes, and ${sunPathMaxBytes} fit into a socket address`,
      entry,
      remedy: 'use a shorter directory, such as one below /tmp or $XDG_RUNTIME_DIR',
    })
  await checkPrivateDirectory(directory, entry)
  if (await exists(path))
    throw new ForwardPathTakenError({
      what: `there is something at ${path} already`,
      entry,
      remedy: 'use a new directory for every run, or remove the file if no run uses it',
    })
  return { path, birthPath }
}

async function checkPrivateDirectory(directory: string, entry: string | undefined): Promise<void> {
  const refuse = (why: string, cause?: unknown) =>
    new ForwardDirectoryNotPrivateError({
      what: `the directory ${directory} of a forwarded socket ${why}`,
      entry,
      remedy: `who reaches the socket is root in the virtual machine: make the directory with mkdtemp, or chmod 700 ${directory}`,
      cause,
    })
  const found = await stat(directory).catch((cause) => {
    throw refuse('cannot be used', cause)
  })
  if (!found.isDirectory()) throw refuse('is not a directory')
  if (found.uid !== process.getuid?.()) throw refuse('belongs to another user')
  const mode = found.mode & 0o777
  if ((mode & 0o077) !== 0) throw refuse(`has mode 0${mode.toString(8)}, which lets others in`)
}

async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  )
}
