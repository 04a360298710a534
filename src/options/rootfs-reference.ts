import { statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as v from 'valibot'
import {
  type DockerfileOptions,
  type DockerfileReference,
  dockerfileFields,
  existingPath,
  parseDockerfile,
} from './dockerfile-reference.ts'
import { InvalidOptionError } from './errors.ts'

/** Where a guest's root file system comes from. */
export type RootfsReference = DebianRootfs | ImageRootfs | DockerfileReference | LocalRootfs

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

/** `file://PATH`: a directory, or a tar. */
export interface LocalRootfs {
  readonly kind: 'directory' | 'tar'
  readonly path: string
}

/** The suites whose docker.io was seen to run as a guest. */
const SUITES = ['bookworm', 'trixie', 'sid']
const PURPOSE = 'the rootfs'

export const dockerfileOptions = v.strictObject(dockerfileFields)

/**
 * Reads a rootfs reference. Paths are taken from the working directory.
 * @throws InvalidOptionError for an unknown form, or a path where nothing is
 */
export function parseRootfsReference(rootfs: string | DockerfileOptions, entry?: string): RootfsReference {
  if (typeof rootfs !== 'string') return parseDockerfile(rootfs, { purpose: PURPOSE, entry })
  const [, scheme, rest = ''] = /^(debian:|docker-image:\/\/|dockerfile:|file:\/\/)(.+)$/.exec(rootfs) ?? []
  switch (scheme) {
    case 'debian:':
      if (SUITES.includes(rest)) return { kind: 'debian', suite: rest }
      break
    case 'docker-image://':
      return { kind: 'image', ref: rest }
    case 'dockerfile:':
      return parseDockerfile({ dockerfile: rest }, { purpose: PURPOSE, entry })
    case 'file://': {
      const path = existingPath(fileURLToPath(rootfs), { purpose: PURPOSE, entry })
      return { kind: statSync(path).isDirectory() ? 'directory' : 'tar', path }
    }
  }
  throw new InvalidOptionError({
    what: `unknown rootfs '${rootfs}'`,
    entry,
    remedy: `name one of ${SUITES.map((suite) => `debian:${suite}`).join(', ')}, docker-image://REF, dockerfile:PATH, file://PATH`,
  })
}
