import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import * as v from 'valibot'
import { InvalidOptionError } from './errors.ts'

/** A Dockerfile with more to say than its path. */
export interface DockerfileOptions {
  readonly dockerfile: string
  /** @default the directory of the Dockerfile */
  readonly context?: string
  readonly buildArgs?: Readonly<Record<string, string>>
  /** The stage to build. @default the last one */
  readonly target?: string
  /** Files by secret id. */
  readonly secretFiles?: Readonly<Record<string, string>>
}

/** A Dockerfile of this machine, to be built with the engine's BuildKit. */
export interface DockerfileReference {
  readonly kind: 'dockerfile'
  readonly dockerfile: string
  readonly context: string
  readonly buildArgs: Readonly<Record<string, string>>
  readonly target: string | undefined
  /** Files of this machine by the ids that `RUN --mount=type=secret` names. */
  readonly secretFiles: Readonly<Record<string, string>>
}

const strings = v.record(v.string(), v.string())

export const dockerfileFields = {
  dockerfile: v.string(),
  context: v.optional(v.string()),
  buildArgs: v.optional(strings),
  target: v.optional(v.string()),
  secretFiles: v.optional(strings),
}

/** @param purpose what errors say needs the files @throws InvalidOptionError for a path where nothing is */
export function parseDockerfile(
  options: DockerfileOptions,
  { purpose, entry }: { readonly purpose: string; readonly entry: string | undefined },
): DockerfileReference {
  const existing = (path: string) => existingPath(resolve(path), { purpose, entry })
  const path = existing(options.dockerfile)
  const secretFiles = Object.entries(options.secretFiles ?? {}).map(([id, file]) => [id, existing(file)])
  return {
    kind: 'dockerfile',
    dockerfile: path,
    context: existing(options.context ?? dirname(path)),
    buildArgs: { ...options.buildArgs },
    target: options.target,
    secretFiles: Object.fromEntries(secretFiles),
  }
}

/** @throws InvalidOptionError where nothing is at the path */
export function existingPath(
  path: string,
  { purpose, entry }: { readonly purpose: string; readonly entry: string | undefined },
): string {
  if (existsSync(path)) return path
  throw new InvalidOptionError({
    what: `${purpose} needs ${path}, which is not there`,
    entry,
    remedy: 'correct the path',
  })
}
