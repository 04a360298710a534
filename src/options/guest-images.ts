import { existsSync, statSync } from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
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
const ROOTFS_PURPOSE = 'the rootfs'

export const dockerfileOptions = v.strictObject(dockerfileFields)

/**
 * Reads a rootfs reference. Paths are taken from the working directory.
 * @throws InvalidOptionError for an unknown form, or a path where nothing is
 */
export function parseRootfsReference(rootfs: string | DockerfileOptions, entry?: string): RootfsReference {
  if (typeof rootfs !== 'string') return parseDockerfile(rootfs, { purpose: ROOTFS_PURPOSE, entry })
  const [, scheme, rest = ''] = /^(debian:|docker-image:\/\/|dockerfile:|file:\/\/)(.+)$/.exec(rootfs) ?? []
  switch (scheme) {
    case 'debian:':
      if (SUITES.includes(rest)) return { kind: 'debian', suite: rest }
      break
    case 'docker-image://':
      return { kind: 'image', ref: rest }
    case 'dockerfile:':
      return parseDockerfile({ dockerfile: rest }, { purpose: ROOTFS_PURPOSE, entry })
    case 'file://': {
      const path = existingPath(fileURLToPath(rootfs), { purpose: ROOTFS_PURPOSE, entry })
      return { kind: statSync(path).isDirectory() ? 'directory' : 'tar', path }
    }
  }
  throw new InvalidOptionError({
    what: `unknown rootfs '${rootfs}'`,
    entry,
    remedy: `name one of ${SUITES.map((suite) => `debian:${suite}`).join(', ')}, docker-image://REF, dockerfile:PATH, file://PATH`,
  })
}

/** An image that the guest's dockerd has from the start. */
export type PreloadReference =
  /** From the engine's store, else pulled by the engine. */
  | { readonly kind: 'image'; readonly ref: string }
  /** Of `docker save`. */
  | { readonly kind: 'tar'; readonly path: string }
  | (DockerfileReference & { readonly tag: string })

/** A Dockerfile, and what its image is called in the guest. */
export interface PreloadDockerfileOptions extends DockerfileOptions {
  /** @default the name of the context's directory, such as `app` for `./app/Dockerfile` */
  readonly tag?: string
}

export const preloadDockerfileOptions = v.strictObject({ ...dockerfileFields, tag: v.optional(v.string()) })

const IMAGES_PURPOSE = "the option 'images'"
/** What is written as a path, or ends as an archive does, is no image's name. */
const TAR = /^\.{0,2}\/|\.(tar|tgz|tar\.\w+)$/
/** `[HOST[:PORT]/]NAME[:TAG][@DIGEST]`, as the engine takes it. */
const IMAGE =
  /^(?:[a-zA-Z0-9.-]+(?::\d+)?\/)?[a-z0-9]+(?:(?:[._/]|__|-+)[a-z0-9]+)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/

/** Paths are taken from the working directory. @throws InvalidOptionError */
export function parsePreload(image: string | PreloadDockerfileOptions, entry: string): PreloadReference {
  if (typeof image !== 'string') {
    const { tag: _, ...options } = image
    const parsed = parseDockerfile(options, { purpose: IMAGES_PURPOSE, entry })
    return { ...parsed, tag: checkName(preloadName(image), entry) }
  }
  if (TAR.test(image)) return { kind: 'tar', path: existingPath(resolve(image), { purpose: IMAGES_PURPOSE, entry }) }
  return { kind: 'image', ref: checkName(image, entry) }
}

/** What an image is called: in the guest, where it is built; else as it is named. */
export function preloadName(image: string | PreloadDockerfileOptions): string {
  if (typeof image === 'string') return image
  return image.tag ?? basename(resolve(image.context ?? dirname(image.dockerfile)))
}

function checkName(name: string, entry: string): string {
  if (IMAGE.test(name)) return name
  throw new InvalidOptionError({
    what: `'${name}' in the option 'images' is neither an image's name nor a path`,
    entry,
    remedy: "write NAME:TAG, './path/of.tar', or { dockerfile: PATH, tag: NAME }",
  })
}
