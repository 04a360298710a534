import { basename, dirname, resolve } from 'node:path'
import * as v from 'valibot'
import {
  type DockerfileOptions,
  type DockerfileReference,
  dockerfileFields,
  existingPath,
  parseDockerfile,
} from './dockerfile-reference.ts'
import { InvalidOptionError } from './errors.ts'

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

const PURPOSE = "the option 'images'"
/** What is written as a path, or ends as an archive does, is no image's name. */
const TAR = /^\.{0,2}\/|\.(tar|tgz|tar\.\w+)$/
/** `[HOST[:PORT]/]NAME[:TAG][@DIGEST]`, as the engine takes it. */
const IMAGE =
  /^(?:[a-zA-Z0-9.-]+(?::\d+)?\/)?[a-z0-9]+(?:(?:[._/]|__|-+)[a-z0-9]+)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/

/** Paths are taken from the working directory. @throws InvalidOptionError */
export function parsePreload(image: string | PreloadDockerfileOptions, entry: string): PreloadReference {
  if (typeof image !== 'string') {
    const { tag, ...options } = image
    const parsed = parseDockerfile(options, { purpose: PURPOSE, entry })
    return { ...parsed, tag: checkName(tag ?? basename(resolve(options.context ?? dirname(parsed.dockerfile))), entry) }
  }
  if (TAR.test(image)) return { kind: 'tar', path: existingPath(resolve(image), { purpose: PURPOSE, entry }) }
  return { kind: 'image', ref: checkName(image, entry) }
}

function checkName(name: string, entry: string): string {
  if (IMAGE.test(name)) return name
  throw new InvalidOptionError({
    what: `'${name}' in the option 'images' is neither an image's name nor a path`,
    entry,
    remedy: "write NAME:TAG, './path/of.tar', or { dockerfile: PATH, tag: NAME }",
  })
}
