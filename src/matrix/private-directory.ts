import { rmSync } from 'node:fs'
import { makeRunDirectory } from '../vm/index.ts'

/** A function that gives a directory for what only workers of this process may reach: made when it is first asked for, gone with the process. */
export function privateDirectory(runtimeDirectory: string): () => Promise<string> {
  let made: Promise<string> | undefined
  return () => {
    made ??= make(runtimeDirectory)
    return made
  }
}

async function make(runtimeDirectory: string): Promise<string> {
  const directory = await makeRunDirectory(runtimeDirectory)
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  return directory
}
