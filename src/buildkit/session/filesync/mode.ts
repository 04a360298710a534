import type { BigIntStats } from 'node:fs'

/** The bits of Go's os.FileMode that are not those of Unix. */
const DIRECTORY = 2 ** 31
const SYMLINK = 2 ** 27
const SETUID = 2 ** 23
const SETGID = 2 ** 22
const STICKY = 2 ** 20
const DEVICE = 2 ** 26
const PIPE = 2 ** 25
const SOCKET = 2 ** 24

export function goMode(stats: Pick<BigIntStats, 'mode' | 'isDirectory' | 'isSymbolicLink'>): number {
  const unix = Number(stats.mode)
  let mode = unix & 0o777
  if (stats.isDirectory()) mode += DIRECTORY
  if (stats.isSymbolicLink()) mode += SYMLINK
  if (unix & 0o4000) mode += SETUID
  if (unix & 0o2000) mode += SETGID
  if (unix & 0o1000) mode += STICKY
  return mode
}

export type FileKind = 'file' | 'directory' | 'symlink' | 'special'

export function kindOf(mode: number): FileKind {
  if (has(mode, DIRECTORY)) return 'directory'
  if (has(mode, SYMLINK)) return 'symlink'
  return has(mode, DEVICE) || has(mode, PIPE) || has(mode, SOCKET) ? 'special' : 'file'
}

/** For chmod. */
export function unixPermissions(mode: number): number {
  return (
    (mode & 0o777) +
    (has(mode, SETUID) ? 0o4000 : 0) +
    (has(mode, SETGID) ? 0o2000 : 0) +
    (has(mode, STICKY) ? 0o1000 : 0)
  )
}

/** Bit 31 is the sign in the integers of `&`. */
function has(mode: number, bit: number): boolean {
  return Math.floor(mode / bit) % 2 === 1
}
