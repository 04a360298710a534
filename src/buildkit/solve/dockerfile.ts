import { readFile } from 'node:fs/promises'
import { basename, dirname, resolve } from 'node:path'
import type { Platform } from '../llb/definition.ts'
import { LocalDirError, localDirs } from '../session/local-dirs.ts'
import { parseIgnoreFile } from '../session/patterns.ts'
import type { Attachable } from '../session/services.ts'

export interface DockerfileOptions {
  readonly contextDir: string
  /** Relative to the context. @default 'Dockerfile' */
  readonly dockerfile?: string
  readonly buildArgs?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  /** The stage to build. @default the last one */
  readonly target?: string
  /** Of the image that is made. */
  readonly platform: Platform
  /** @default 'use' */
  readonly cache?: 'use' | 'ignore'
}

/** Parts of a `SolveRequest`. */
export interface DockerfileSolve {
  readonly frontend: 'dockerfile.v0'
  readonly frontendAttrs: Readonly<Record<string, string>>
  /** Sends the context, less what the ignore file names, and the Dockerfile. */
  readonly attachables: readonly Attachable[]
}

/**
 * What to solve for a Dockerfile of this machine.
 * @throws LocalDirError
 */
export async function dockerfileSolve(options: DockerfileOptions): Promise<DockerfileSolve> {
  const { contextDir, dockerfile = 'Dockerfile', buildArgs = {}, labels = {}, target, platform, cache } = options
  const context = resolve(contextDir)
  const path = resolve(context, dockerfile)
  const filename = basename(path)
  const { os, architecture, variant } = platform
  const frontendAttrs: Record<string, string> = {
    filename,
    platform: [os, architecture, variant].filter((part) => part !== undefined).join('/'),
    ...prefixed('build-arg:', buildArgs),
    ...prefixed('label:', labels),
  }
  if (target !== undefined) frontendAttrs['target'] = target
  if (cache === 'ignore') frontendAttrs['no-cache'] = ''
  const exclude = await ignorePatterns([`${path}.dockerignore`, resolve(context, '.dockerignore')])
  await requireFile(path)
  const attachable = localDirs({
    context: { path: context, exclude },
    dockerfile: { path: dirname(path), include: [filename, `${filename}.dockerignore`, '.dockerignore'] },
  })
  return { frontend: 'dockerfile.v0', frontendAttrs, attachables: [attachable] }
}

/** Of the first file that there is: one beside the Dockerfile goes before the one of the context. */
async function ignorePatterns(paths: readonly string[]): Promise<string[]> {
  for (const path of paths) {
    const text = await readFile(path, 'utf8').catch(absent)
    if (text !== undefined) return parseIgnoreFile(text)
  }
  return []
}

async function requireFile(path: string): Promise<void> {
  await readFile(path).catch((cause: unknown) => {
    throw new LocalDirError({
      what: `cannot read the Dockerfile ${path}`,
      cause,
      remedy: 'correct the path, or make it readable',
    })
  })
}

function absent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
    return undefined
  throw error
}

function prefixed(prefix: string, record: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [`${prefix}${key}`, value]))
}
