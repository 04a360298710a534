import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

export interface RemoveOlderOptions {
  /** What was changed within this time stays, in milliseconds. */
  readonly keptMs: number
  /** Milliseconds since 1970. @default now */
  readonly now?: number
}

/** Removes the files and directories of a directory that have not changed for long. One that is not there has none. */
export async function removeOlder(directory: string, { keptMs, now = Date.now() }: RemoveOlderOptions): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) {
    const path = join(directory, name)
    const found = await stat(path).catch(() => undefined)
    if (found !== undefined && now - found.mtimeMs > keptMs) await rm(path, { recursive: true, force: true })
  }
}
