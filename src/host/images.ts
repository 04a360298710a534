import type { Readable } from 'node:stream'
import type { Logger } from '../log/index.ts'

/** What a store of images knows of one. */
export interface StoredImage {
  /** `sha256:…` */
  readonly id: string
  readonly labels: Readonly<Record<string, string>>
  readonly sizeBytes: number
}

/** Both empty: nothing is shown. */
export interface RegistryCredentials {
  readonly username: string
  /** A password, or with an empty user name an identity token. */
  readonly secret: string
}

export interface RegistryOptions {
  /** Asked for the registry's host, such as `docker.io` or `registry.example.org:5000`. @default anonymous */
  readonly credentials?: (registry: string) => Promise<RegistryCredentials>
  readonly signal?: AbortSignal
  readonly log?: Logger
}

export interface TransferOptions {
  readonly signal?: AbortSignal
}

export interface ImportOptions extends TransferOptions {
  /** `REPOSITORY:TAG` of the new image. */
  readonly ref: string
  readonly labels?: Readonly<Record<string, string>>
  /** Dockerfile instructions for the image's configuration, such as `CMD ["bash"]`. */
  readonly changes?: readonly string[]
}

/** The images of a dockerd: the host's, or a guest's. */
export interface Images {
  /** `undefined` when there is no such image. */
  inspect(ref: string): Promise<StoredImage | undefined>
  /** The labels of all images that have this one, given as `NAME=VALUE`. */
  labelsOfAll(label: string): Promise<readonly Readonly<Record<string, string>>[]>
  /** @returns the image's id @throws ImagePullError */
  pull(ref: string, options?: RegistryOptions): Promise<string>
  /** @throws ImagePushError */
  push(ref: string, options?: RegistryOptions): Promise<void>
  /** @throws ImageMissingError */
  tag(ref: string, newRef: string): Promise<void>
  /** Removes this name, and the image with its last name. One that is used stays. */
  remove(ref: string): Promise<'removed' | 'absent' | 'in use'>
  /** Loads what `docker save` wrote. @returns the names that it held @throws ImageTransferError */
  load(tar: Readable, options?: TransferOptions): Promise<readonly string[]>
  /** The images as one tar stream, for `docker load`. @throws ImageTransferError */
  save(refs: readonly string[], options?: TransferOptions): Promise<Readable>
  /** Makes an image of one layer from the tar of a root file system. @returns its id @throws ImageTransferError */
  import(tar: Readable, options: ImportOptions): Promise<string>
}
