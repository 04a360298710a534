import * as v from 'valibot'
import { checkDockerd, type DockerdOptions, dockerdFields } from './daemon.ts'
import { DuplicateEntryError, InvalidOptionError } from './errors.ts'
import { checkForwards, checkMounts, forwardFields, type SharedOptions } from './forwards.ts'
import {
  type DockerfileOptions,
  dockerfileOptions,
  type PreloadDockerfileOptions,
  type PreloadReference,
  parsePreload,
  parseRootfsReference,
  preloadDockerfileOptions,
  type RootfsReference,
} from './guest-images.ts'
import { checkGuestNetwork, type GuestNetworkOptions, guestNetworkFields } from './guest-network.ts'
import { checkKernelSettings, type KernelSettingsOptions } from './kernel-arguments.ts'
import { type KernelReference, type KernelSpec, parseKernelReference } from './kernel-reference.ts'
import { type KernelReportsOption, kernelReportsOption } from './kernel-reports.ts'
import { localKernelOptions } from './local-kernel.ts'
import { sourceKernelOptions } from './source-kernel.ts'

const machineOptions = ['auto', 'mmio', 'pci'] as const
export type MachineOption = (typeof machineOptions)[number]

const inits = ['testkernels', 'systemd'] as const
/**
 * What is PID 1 in the guest, and what the guest is for. `testkernels`: our agent, which runs dockerd; `systemd`: that of the rootfs, which
 * runs what the rootfs enables. Or a command in place of dockerd, which the agent runs.
 */
export type GuestInit = (typeof inits)[number] | readonly string[]

/** Whether it is no word of a command. */
export function isNamedInit(value: unknown): boolean {
  return inits.some((name) => name === value)
}

/** One row of the matrix, as a user writes it. */
export interface KernelOptions extends DockerdOptions, GuestNetworkOptions, KernelSettingsOptions, SharedOptions {
  /**
   * The kernel: `debian:SUITE`, such as `debian:bookworm`, or a version of it, `debian:SUITE@VERSION`; `docker-image://REF` of an image
   * with a kernel in it; `dockerfile:PATH` that installs one, or an object with build arguments; of this machine `file:///path/vmlinuz`,
   * an object with `vmlinuz` and what belongs to it, or `host`. Built from source: `version:X.Y.Z`, `source:debian/SUITE`, `source:PATH`
   * of a tarball or a tree, or an object with config fragments.
   */
  readonly kernel: KernelSpec
  /**
   * The guest's root file system: `debian:SUITE` (with its docker.io), `docker-image://REF`, `dockerfile:PATH` or an object
   * with build arguments, `file://PATH` of a directory or a tar. It needs dockerd and nothing else, unless `init` says so: no sshd or kmod.
   * @default 'debian:trixie'
   */
  readonly rootfs?: string | DockerfileOptions
  /**
   * Images that the guest's dockerd has from the start, so that no test pulls: names (from the engine's store, else pulled by the
   * engine), `./path/of.tar` as `docker save` writes it, Dockerfiles to build. They are part of the template. @default none
   */
  readonly images?: readonly (string | PreloadDockerfileOptions)[]
  /**
   * `systemd` makes systemd of the rootfs PID 1, with its docker.service and its cgroup driver; a rootfs of yours must have it. A list is a
   * command that the guest is for, in place of dockerd; the guest ends with it. @default 'testkernels', a small PID 1 that runs dockerd.
   * @throws RootfsUnsuitableError before anything starts, for a rootfs without systemd
   */
  readonly init?: GuestInit
  /** The cgroup version that the guest mounts. @default 2 */
  readonly cgroup?: 1 | 2
  /**
   * Which cgroup controllers its kernel must have: `all` that dockerd uses, or `partial`, with a warning that names what is
   * missing. Debian's kernels from 6.12 on have no memory and no cpuset controller on cgroup v1. @default 'all'.
   * @throws KernelUnsuitableError before anything starts
   */
  readonly controllers?: 'all' | 'partial'
  /** Memory of the guest, in MiB; 512 or more. @default 2048 */
  readonly memoryMib?: number
  /** Virtual CPUs. @default 2 */
  readonly cpus?: number
  /** Size of the guest's writable disk in MiB, taken as it fills; 512 or more. @default 8192 */
  readonly scratchMib?: number
  /**
   * Where the guest finds its devices: `mmio`, the smaller machine, or on a bus of `pci`, which is all that the kernels of RHEL, Fedora and
   * their kin can do. `auto` is `mmio` where the kernel's config has CONFIG_VIRTIO_MMIO. @default 'auto'.
   * @throws KernelUnsuitableError before anything starts
   */
  readonly machine?: MachineOption
  /** What runs the guest. `auto` is KVM where a guest was seen to run with it, else TCG. @default 'auto' */
  readonly accelerator?: 'auto' | 'kvm' | 'tcg'
  /**
   * Whether VMs start from a saved one, which the first start makes: in a fraction of a second. `false` boots cold each time. A
   * guest with a command of its own in `init` always boots cold. @default true
   */
  readonly template?: boolean
  /**
   * How many clones are kept ready, stopped, for `fork()` and for workers and files with VMs of their own: each takes some 50 MB of
   * memory and no processor time. `auto`: none for `fork()`; with `isolation` the next one is made while tests run on those before it, as
   * many as workers can use. @default 'auto'
   */
  readonly spares?: 'auto' | number
  /**
   * What becomes of a test during which its kernel reports a fault: it fails, the run says so and goes on, or nobody hears. One word for
   * all kinds of reports, or kinds by name.
   * @default fail; but warn of what a machine that is too slow causes (`soft-lockup`, `hard-lockup`, `rcu-stall`, `hung-task`,
   * `workqueue-lockup`) under software emulation
   */
  readonly kernelReports?: KernelReportsOption
  /** Longest wait from the start of the VM to the first answer of its dockerd, in milliseconds. @default 240_000 */
  readonly bootTimeoutMs?: number
}

/** An entry with all defaults filled in; frozen. */
export interface KernelEntry extends Required<KernelOptions> {
  /** Unique in its matrix; `[A-Za-z0-9._-]`, because files and hostnames are named after it. */
  readonly name: string
  readonly reference: KernelReference
  readonly rootfsReference: RootfsReference
  readonly preload: readonly PreloadReference[]
}

const integer = (least: number) => v.pipe(v.number(), v.integer(), v.minValue(least))

/** Not a union, whose complaint names none of its alternatives' options. */
function kernelSchema(kernel: unknown) {
  if (typeof kernel !== 'object' || kernel === null) return v.string()
  if ('dockerfile' in kernel) return dockerfileOptions
  return 'vmlinuz' in kernel ? localKernelOptions : sourceKernelOptions
}

const schema = v.strictObject({
  kernel: v.lazy(kernelSchema),
  rootfs: v.optional(v.union([v.string(), dockerfileOptions]), 'debian:trixie'),
  images: v.optional(v.array(v.union([v.string(), preloadDockerfileOptions])), []),
  init: v.optional(v.union([v.picklist(inits), v.pipe(v.array(v.string()), v.minLength(1))]), 'testkernels'),
  cgroup: v.optional(v.picklist([1, 2]), 2),
  controllers: v.optional(v.picklist(['all', 'partial']), 'all'),
  kernelArguments: v.optional(v.array(v.string()), []),
  modules: v.optional(v.array(v.string()), []),
  sysctls: v.optional(v.record(v.string(), v.string()), {}),
  ...dockerdFields,
  ...guestNetworkFields,
  memoryMib: v.optional(integer(512), 2048),
  cpus: v.optional(integer(1), 2),
  scratchMib: v.optional(integer(512), 8192),
  machine: v.optional(v.picklist(machineOptions), 'auto'),
  accelerator: v.optional(v.picklist(['auto', 'kvm', 'tcg']), 'auto'),
  template: v.optional(v.boolean(), true),
  spares: v.optional(v.union([v.literal('auto'), integer(0)]), 'auto'),
  kernelReports: v.optional(kernelReportsOption, {}),
  ...forwardFields,
  bootTimeoutMs: v.optional(integer(1), 240_000),
})

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/

/**
 * Checks one entry, fills in the defaults and freezes it.
 * @throws InvalidOptionError naming the option; UnknownKernelError
 */
export function parseKernelEntry(name: string, options: unknown): KernelEntry {
  if (!NAME.test(name)) {
    throw new InvalidOptionError({
      what: `'${name}' cannot be the name of a kernel entry`,
      remedy: 'use 1 to 63 letters, digits, dots, dashes and underscores, a letter or digit first',
    })
  }
  const parsed = v.safeParse(schema, options)
  if (!parsed.success) throw invalid(name, parsed.issues)
  const checked = parsed.output as Required<KernelOptions>
  checkKernelSettings(checked, name)
  checkDockerd(checked, name)
  checkGuestNetwork(checked, name)
  checkForwards(checked.forwards, name)
  checkMounts(checked.mounts, name)
  return Object.freeze({
    name,
    ...checked,
    reference: Object.freeze(parseKernelReference(checked.kernel, name)),
    rootfsReference: Object.freeze(parseRootfsReference(checked.rootfs, name)),
    preload: Object.freeze(checked.images.map((image) => parsePreload(image, name))),
  })
}

function invalid(entry: string, issues: readonly v.BaseIssue<unknown>[]): InvalidOptionError {
  const problems = issues.map((issue) => {
    const option = v.getDotPath(issue)
    if (option === null) return `expected an object of options, got ${issue.received}`
    if (issue.expected === 'never') return `unknown option '${option}'`
    if (issue.received === 'undefined') return `option '${option}' is missing`
    const expected = issue.type === 'check' ? issue.message : (issue.expected ?? 'a whole number')
    return `option '${option}' must be ${expected}, got ${issue.received}`
  })
  return new InvalidOptionError({
    what: problems.join('; '),
    entry,
    remedy: `an entry takes ${Object.keys(schema.entries).join(', ')}`,
  })
}

/** The options of an entry, and its name. */
export type NamedKernelOptions = KernelOptions & { readonly name: string }

/** A matrix as a user writes it: entries by name, or a list of entries that carry theirs, such as `kernelMatrix` makes. */
export type KernelMatrix = { readonly [name: string]: KernelOptions } | readonly NamedKernelOptions[]

/**
 * Checks a whole matrix before anything is started.
 * @throws InvalidOptionError; UnknownKernelError; DuplicateEntryError
 */
export function parseMatrix(matrix: KernelMatrix): readonly KernelEntry[] {
  const rows: [string, unknown][] = Array.isArray(matrix)
    ? matrix.map(({ name, ...options }) => [String(name), options])
    : Object.entries(matrix)
  if (rows.length === 0) {
    throw new InvalidOptionError({
      what: 'the matrix has no entry',
      remedy: "add one, such as { v2: { kernel: 'debian:trixie' } }",
    })
  }
  const entries = rows.map(([name, options]) => parseKernelEntry(name, options))
  const twice = entries.find((entry, index) => entries.findIndex(({ name }) => name === entry.name) !== index)
  if (twice) {
    throw new DuplicateEntryError({
      what: `two entries are named '${twice.name}'`,
      remedy: 'give each entry a name of its own',
    })
  }
  return Object.freeze(entries)
}

/**
 * The same, checked, as plain data that can travel: `parseMatrix` reads it again elsewhere.
 * @throws InvalidOptionError; UnknownKernelError; DuplicateEntryError
 */
export function matrixRows(matrix: KernelMatrix): readonly NamedKernelOptions[] {
  return parseMatrix(matrix).map(plainOptions)
}

function plainOptions({ reference: _, rootfsReference: __, preload: ___, ...row }: KernelEntry): NamedKernelOptions {
  return row
}
