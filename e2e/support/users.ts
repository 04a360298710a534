import { statSync } from 'node:fs'
import { dirname } from 'node:path'

export const NOBODY = 65_534
export const isRoot = process.getuid?.() === 0
/** The group that may use this machine's engine. */
export const engineGid = statSync('/var/run/docker.sock', { throwIfNoEntry: false })?.gid ?? 0

/** Whether anybody may read it. */
export function isPublic(path: string): boolean {
  return (statSync(path).mode & 0o005) === 0o005 && (path === '/' || isPublic(dirname(path)))
}
