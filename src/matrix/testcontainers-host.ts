import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * What to tell a user whose Testcontainers would pass by every VM: its properties file may name an engine, and it believes that
 * before DOCKER_HOST.
 */
export function testcontainersHostWarning(home: string | undefined): string | undefined {
  if (home === undefined) return undefined
  const path = join(home, '.testcontainers.properties')
  const host = readProperty(path, 'tc.host')
  if (host === undefined) return undefined
  return (
    `tc.host=${host} in ${path} goes before DOCKER_HOST: Testcontainers would use that engine, and no VM\n` +
    '  remedy: remove the line, or put a # before it, while these tests run'
  )
}

function readProperty(path: string, name: string): string | undefined {
  try {
    const lines = readFileSync(path, 'utf8').split(/\r?\n/)
    const found = lines.map((line) => /^\s*([^#!=:\s][^=:\s]*)\s*[=:]\s*(.*?)\s*$/.exec(line))
    return found.findLast((match) => match?.[1] === name)?.[2] || undefined
  } catch {
    // None, or one that Testcontainers cannot read either.
    return undefined
  }
}
