import type { Attachable } from '../session/attachable.ts'

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
  return { type: 'moby', attrs: names.length === 0 ? {} : { name: names.join(',') } }
}
