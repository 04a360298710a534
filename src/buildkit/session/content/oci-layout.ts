import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { replaceFile } from '../../../files/index.ts'

/** https://github.com/opencontainers/image-spec/blob/main/annotations.md */
const REF_NAME = 'org.opencontainers.image.ref.name'

const descriptorSchema = v.looseObject({
  digest: v.string(),
  annotations: v.optional(v.record(v.string(), v.string())),
})
const indexSchema = v.looseObject({ manifests: v.array(descriptorSchema) })

/** What an index says of a manifest: media type, size and digest, and what else it likes to. */
export type Descriptor = v.InferOutput<typeof descriptorSchema>

/** @throws when `json` is no descriptor */
export function parseDescriptor(json: string): Descriptor {
  return v.parse(descriptorSchema, JSON.parse(json))
}

/** The index of a directory in OCI's image layout: which manifest has which tag. */
export class OciLayout {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  /** The digest of a tag; undefined where no such tag, or nothing at all, is. @throws when there is something else */
  async find(tag: string): Promise<string | undefined> {
    return (await this.#manifests()).find(isTagged(tag))?.digest
  }

  /** Gives a manifest the tag, which the one that had it loses. */
  async put(manifest: Descriptor, tag: string): Promise<void> {
    await mkdir(this.#directory, { recursive: true })
    const others = (await this.#manifests()).filter((other) => !isTagged(tag)(other))
    const tagged = { ...manifest, annotations: { ...manifest.annotations, [REF_NAME]: tag } }
    await this.#write('oci-layout', { imageLayoutVersion: '1.0.0' })
    await this.#write('index.json', {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [...others, tagged],
    })
  }

  async #manifests(): Promise<readonly Descriptor[]> {
    const text = await readFile(join(this.#directory, 'index.json'), 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    })
    return text === undefined ? [] : v.parse(indexSchema, JSON.parse(text)).manifests
  }

  /** Another build may be reading it. */
  async #write(name: string, content: unknown): Promise<void> {
    await replaceFile(join(this.#directory, name), JSON.stringify(content))
  }
}

function isTagged(tag: string): (descriptor: Descriptor) => boolean {
  return ({ annotations }) => annotations?.[REF_NAME] === tag
}
