import type { Writable } from 'node:stream'
import type { Attachable } from '../session/attachable.ts'
import { directoryTarget, streamTarget } from '../session/filesend/targets.ts'

/** What becomes of the result of a solve. */
export interface Exporter {
  readonly type: string
  readonly attrs: Readonly<Record<string, string>>
  /** Receives the result here, for the exporters that send it back. */
  readonly attachable?: Attachable
}

export interface ImageExport {
  /** Names for the image, such as `app:1`. Without any it has only its digest. */
  readonly names?: readonly string[]
}

/** Into the store of the Docker engine. `containerimage.digest` in the response is the image's id. */
export function moby({ names = [] }: ImageExport = {}): Exporter {
  return { type: 'moby', attrs: nameAttr(names) }
}

/** Into the image store of a buildkitd, and from there to the registry of its names. */
export function image({ names = [], push = 'no' }: ImageExport & { readonly push?: 'yes' | 'no' } = {}): Exporter {
  return { type: 'image', attrs: { ...nameAttr(names), ...(push === 'yes' ? { push: 'true' } : {}) } }
}

/** As an archive for `docker load`, from a buildkitd. */
export function docker({ names = [], to }: ImageExport & { readonly to: string | Writable }): Exporter {
  return { type: 'docker', attrs: nameAttr(names), attachable: streamTarget(to) }
}

/** Into a directory of this machine, which is made if need be. What is there already stays. */
export function local({ directory }: { readonly directory: string }): Exporter {
  return { type: 'local', attrs: {}, attachable: directoryTarget(directory) }
}

/** As a tar of the file system: into a file, which appears when it is complete, or a stream, which is ended. */
export function tar({ to }: { readonly to: string | Writable }): Exporter {
  return { type: 'tar', attrs: {}, attachable: streamTarget(to) }
}

function nameAttr(names: readonly string[]): Record<string, string> {
  return names.length === 0 ? {} : { name: names.join(',') }
}
