import type Docker from 'dockerode'
import type { Architecture } from '../arch/index.ts'
import { reasonOf, type TestkernelsError } from '../errors/index.ts'
import { ContainerNotStartedError, DeviceMissingError, ImageMissingError } from './errors.ts'
import { type JoinedNetwork, nameOnNetwork } from './networks.ts'
import { errorCodeOf, statusOf } from './request.ts'

/** What an attached container is made of: the few settings of the engine's that we use, with our names and units. */
export interface ContainerOptions {
  readonly image: string
  /** @default the one that it has on the network that it joins; else the engine makes one up */
  readonly name?: string
  /** @default the image's */
  readonly entrypoint?: readonly string[]
  /** @default the image's */
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** @default the image's */
  readonly user?: string
  /** Must tell whose it is: see `runLabels`. */
  readonly labels: Readonly<Record<string, string>>
  readonly mounts?: readonly ContainerMount[]
  /** Devices of the engine's machine, such as `/dev/net/tun`, at the same place inside. */
  readonly devices?: readonly string[]
  /** The only capabilities the container has, such as `NET_ADMIN`. @default none */
  readonly capabilities?: readonly string[]
  /** `bridge`, `none`, `host`, or the name of a network. @default 'bridge' */
  readonly network?: string
  /** A network that it is on as well, with a link of its own. @default none */
  readonly joins?: JoinedNetwork | undefined
  /** Of its own network namespace, such as `net.ipv6.conf.all.forwarding`. @default the engine's */
  readonly sysctls?: Readonly<Record<string, string>>
  /** @default 'read-only' */
  readonly rootFilesystem?: 'read-only' | 'writable'
  /** Memory limit, swap included. @default none */
  readonly memoryMib?: number
  /** Most processes and threads at a time. @default none */
  readonly pidsLimit?: number
  /** Longest wait for the container to end once its stdin is closed, in milliseconds; then it is killed. @default 3_000 */
  readonly stopGraceMs?: number
  /** Kernel entry, named in errors. */
  readonly entry?: string
}

export type ContainerMount = BindMount | VolumeMount | TmpfsMount

export interface BindMount {
  readonly kind: 'bind'
  readonly source: string
  readonly target: string
  readonly access: 'read-only' | 'read-write'
}

export interface VolumeMount {
  readonly kind: 'volume'
  /** Made if there is none of this name. @default one without a name, which goes with the container */
  readonly volume?: string
  /** Of a volume that is made. */
  readonly labels?: Readonly<Record<string, string>>
  readonly target: string
  readonly access: 'read-only' | 'read-write'
}

export interface TmpfsMount {
  readonly kind: 'tmpfs'
  readonly target: string
  readonly sizeMib?: number
  /** Permissions of its root, such as `0o755`. */
  readonly mode?: number
}

/** The body of the engine's create call. Not privileged: no capability but those listed, and no way to gain one. */
export function createBody(options: ContainerOptions): Docker.ContainerCreateOptions {
  const memoryBytes = options.memoryMib === undefined ? undefined : options.memoryMib * 2 ** 20
  return {
    Image: options.image,
    Entrypoint: options.entrypoint && [...options.entrypoint],
    Cmd: options.command && [...options.command],
    Env: Object.entries(options.environment ?? {}).map(([name, value]) => `${name}=${value}`),
    User: options.user,
    Labels: { ...options.labels },
    // What ends it with us: the engine closes the container's stdin when the one attached stream ends.
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    HostConfig: {
      AutoRemove: true,
      NetworkMode: options.network ?? 'bridge',
      ReadonlyRootfs: (options.rootFilesystem ?? 'read-only') === 'read-only',
      CapDrop: ['ALL'],
      CapAdd: [...(options.capabilities ?? [])],
      SecurityOpt: ['no-new-privileges'],
      Sysctls: { ...options.sysctls },
      Devices: (options.devices ?? []).map((path) => ({
        PathOnHost: path,
        PathInContainer: path,
        CgroupPermissions: 'rwm',
      })),
      Mounts: (options.mounts ?? []).map(mountBody),
      Memory: memoryBytes,
      MemorySwap: memoryBytes,
      PidsLimit: options.pidsLimit,
      // The attached stream is the log's only reader; the engine need not write a guest's console to its disk as well.
      LogConfig: { Type: 'none', Config: {} },
    },
  }
}

/** What the engine is to call it, if anything. It asks for that beside the body. */
export function nameOf({ name, joins }: Pick<ContainerOptions, 'name' | 'joins'>): string | undefined {
  return name ?? (joins && nameOnNetwork(joins))
}

function mountBody(mount: ContainerMount): Docker.MountSettings {
  switch (mount.kind) {
    case 'bind':
      return { Type: 'bind', Source: mount.source, Target: mount.target, ReadOnly: mount.access === 'read-only' }
    case 'volume': {
      const place = { Source: mount.volume ?? '', Target: mount.target, ReadOnly: mount.access === 'read-only' }
      // dockerode's types want each field spelt out; these are the engine's own defaults.
      const VolumeOptions = { NoCopy: false, Labels: { ...mount.labels }, DriverConfig: { Name: '', Options: {} } }
      return { Type: 'volume', ...place, VolumeOptions }
    }
    case 'tmpfs': {
      // To the engine 0 is "no limit" and "the default", which dockerode's types want spelt out.
      const TmpfsOptions = { SizeBytes: (mount.sizeMib ?? 0) * 2 ** 20, Mode: mount.mode ?? 0 }
      return { Type: 'tmpfs', Target: mount.target, Source: '', TmpfsOptions }
    }
  }
}

export interface FailedStart extends Pick<ContainerOptions, 'image' | 'entry'> {
  readonly arch: Architecture
}

/** The error for a container that did not come to run: which of the things it needs is missing, and how to get it. */
export function containerFailure({ arch, image, entry }: FailedStart, cause: unknown): TestkernelsError {
  const reason = reasonOf(cause)
  const [, device] = /adding custom device "([^"]+)"/.exec(reason) ?? []
  if (device !== undefined) {
    // The kernel's module by the device that it makes.
    const modules: Readonly<Record<string, string>> = {
      '/dev/net/tun': 'tun',
      '/dev/kvm': arch.kvmModules.join(' or '),
    }
    const module = modules[device]
    const load = module === undefined ? 'load its driver' : `load its driver (\`sudo modprobe ${module}\`)`
    return new DeviceMissingError({
      what: `the engine's machine has no ${device}`,
      remedy: `${load}; where the engine is a container itself, pass the device on to it`,
      entry,
      cause,
    })
  }
  if (statusOf(cause) === 404 && /no such image/i.test(reason)) {
    return new ImageMissingError({
      what: `the engine has no image ${image}`,
      remedy: 'build it again; something removed it meanwhile',
      entry,
      cause,
    })
  }
  return new ContainerNotStartedError({
    what: `the engine did not start a container of ${image}`,
    remedy:
      errorCodeOf(cause) === undefined
        ? "change what the cause names, or see the engine's log"
        : 'the engine does not answer any more: see whether `docker info` does',
    entry,
    cause,
  })
}
