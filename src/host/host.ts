import type { Readable } from 'node:stream'
import type { Architecture } from '../arch/index.ts'
import type { Buildkit } from '../buildkit/index.ts'
import type { Logger } from '../log/index.ts'
import type { Box, BoxSpec } from './box.ts'

export interface RunOptions {
  /** Calls the start off; afterwards it has no effect. */
  readonly signal: AbortSignal
  readonly log: Logger
}

export interface LockOptions extends RunOptions {
  /** What is made under the lock, for the line that says we wait: `base image trixie`. */
  readonly what: string
}

/** How registries are reached from a host. */
export interface RegistryAccess {
  /** URLs that are asked for Docker Hub's images. */
  readonly mirrors: readonly string[]
  /** `HOST:PORT` and CIDRs that are spoken to over HTTP, or over TLS without a check. */
  readonly insecure: readonly string[]
  /** URLs of proxies, and hosts for which there is none: as this user's docker has containers use them, else the host's own. */
  readonly proxies: {
    readonly from: "docker's config.json" | 'the engine'
    readonly http?: string | undefined
    readonly https?: string | undefined
    readonly no?: string | undefined
  }
}

/** What boxes share with all that the host has running, as far as it is not of their own making. */
export interface HostNetwork {
  /** Its longest packet, in bytes; 1500 where the host does not say. */
  readonly mtu: number
  /** Whether those on it have addresses of IPv6 as well. */
  readonly ipv6: boolean
}

/** A machine that runs boxes for us. */
export interface Host {
  /** Of the machine, and so of its guests. */
  readonly arch: Architecture
  readonly cores: number
  readonly images: Images
  /** What it is known by: another machine, kernel, boot or driver of KVM may do other things. */
  identity(): Promise<readonly string[]>
  /**
   * Stands for what a guest under KVM sees of it: model and features of its processor where they can be known, and its kernel, which
   * adds KVM's own.
   */
  processor(): Promise<string>
  /** Costs no question to it. */
  registryAccess(): Promise<RegistryAccess>
  /** The network that reachable boxes are on. */
  network(): Promise<HostNetwork>
  /** What it can still give, in MiB; undefined where that cannot be known. */
  availableMib(): Promise<number | undefined>
  /** What images are built with: the buildkitd that the environment names, else its own BuildKit. */
  builder(options: BuilderOptions): Builder
  /** The BuildKit that sees its images, and that they see. */
  ownBuilder(options: BuilderOptions): Builder
  /**
   * For what is made once and used by all. Work must be safe to do twice: on some systems there is nothing to lock with, and who works
   * for the same host on another machine is not kept out.
   */
  lock(name: string, options: LockOptions): Promise<AsyncDisposable>
  /** @throws ContainerNotStartedError, DeviceMissingError, ImageMissingError */
  run(spec: BoxSpec, options: RunOptions): Promise<Box>
  /** Removes a volume and what is in it. One that is used stays. */
  removeVolume(name: string): Promise<'removed' | 'absent' | 'in use'>
  /** Removes what runs left, and nothing that somebody needs, wherever he is. */
  prune(options: PruneOptions): Promise<PruneResult>
}

/** What solves the graph of an image. */
export interface Builder {
  /** The engine's own BuildKit sees the engine's images; a buildkitd takes all from registries, and its result is loaded. */
  readonly kind: 'engine' | 'buildkitd'
  /** Where a host keeps its images decides what build caches its own BuildKit can read and write. */
  readonly imageStore: 'containerd' | 'graphdriver'
  /** For messages, such as `the Docker engine 20.10.24`. */
  readonly name: string
  /** Called only when something has to be built. */
  connect(): Promise<Buildkit>
}

export interface BuilderOptions {
  readonly signal: AbortSignal
  readonly log: Logger
}

/** A thing of ours on a host. */
export interface Leftover {
  readonly kind: 'container' | 'volume' | 'network' | 'image'
  readonly id: string
  readonly name: string
}

export interface PruneOptions {
  /** What is kept for later runs and shall go as well; none is in use then. @default none */
  readonly caches?: readonly ('image' | 'volume')[]
  readonly signal?: AbortSignal
  readonly log?: Logger
}

interface PruneResult {
  readonly removed: readonly Leftover[]
  /** What stayed although it was to go, such as an image that a container uses. */
  readonly refused: readonly (Leftover & { readonly reason: string })[]
}

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
