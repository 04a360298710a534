import { existsSync, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as v from 'valibot'
import { InvalidOptionError } from './errors.ts'

/** Where a guest's root file system comes from. */
export type RootfsReference = DebianRootfs | ImageRootfs | DockerfileRootfs | LocalRootfs

/** `debian:SUITE`: Debian with its docker.io. */
export interface DebianRootfs {
  readonly kind: 'debian'
  readonly suite: string
}

/** `docker-image://REF`: any image with dockerd in it. */
export interface ImageRootfs {
  readonly kind: 'image'
  readonly ref: string
}

/** `dockerfile:PATH`, or an object: built with the engine's BuildKit. */
export interface DockerfileRootfs {
  readonly kind: 'dockerfile'
  readonly dockerfile: string
  readonly context: string
  readonly buildArgs: Readonly<Record<string, string>>
  readonly target: string | undefined
  /** Files of this machine by the ids that `RUN --mount=type=secret` names. */
  readonly secretFiles: Readonly<Record<string, string>>
}

/** `file://PATH`: a directory, or a tar. */
export interface LocalRootfs {
  readonly kind: 'directory' | 'tar'
  readonly path: string
}

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

/** The suites whose docker.io was seen to run as a guest. */
const SUITES = ['bookworm', 'trixie', 'sid']
const strings = v.record(v.string(), v.string())

export const dockerfileOptions = v.strictObject({
  dockerfile: v.string(),
  context: v.optional(v.string()),
  buildArgs: v.optional(strings),
  target: v.optional(v.string()),
  secretFiles: v.optional(strings),
})

/**
 * Reads a rootfs reference. Paths are taken from the working directory.
 * @throws InvalidOptionError for an unknown form, or a path where nothing is
 */
export function parseRootfsReference(rootfs: string | DockerfileOptions, entry?: string): RootfsReference {
  if (typeof rootfs !== 'string') return dockerfile(rootfs, entry)
  const [, scheme, rest = ''] = /^(debian:|docker-image:\/\/|dockerfile:|file:\/\/)(.+)$/.exec(rootfs) ?? []
  switch (scheme) {
    case 'debian:':
      if (SUITES.includes(rest)) return { kind: 'debian', suite: rest }
      break
    case 'docker-image://':
      return { kind: 'image', ref: rest }
    case 'dockerfile:':
      return dockerfile({ dockerfile: rest }, entry)
    case 'file://': {
      const path = existing(fileURLToPath(rootfs), entry)
      return { kind: statSync(path).isDirectory() ? 'directory' : 'tar', path }
    }
  }
  throw new InvalidOptionError({
    what: `unknown rootfs '${rootfs}'`,
    entry,
    remedy: `name one of ${SUITES.map((suite) => `debian:${suite}`).join(', ')}, docker-image://REF, dockerfile:PATH, file://PATH`,
  })
}

function dockerfile(options: DockerfileOptions, entry: string | undefined): DockerfileRootfs {
  const path = existing(resolve(options.dockerfile), entry)
  const secretFiles = Object.entries(options.secretFiles ?? {}).map(([id, file]) => [
    id,
    existing(resolve(file), entry),
  ])
  return {
    kind: 'dockerfile',
    dockerfile: path,
    context: existing(resolve(options.context ?? dirname(path)), entry),
    buildArgs: { ...options.buildArgs },
    target: options.target,
    secretFiles: Object.fromEntries(secretFiles),
  }
}

function existing(path: string, entry: string | undefined): string {
  if (existsSync(path)) return path
  throw new InvalidOptionError({
    what: `the rootfs needs ${path}, which is not there`,
    entry,
    remedy: 'correct the path',
  })
}
