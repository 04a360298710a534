import { join } from 'node:path'
import type { KernelOptions } from 'testkernels'
import { kernelImage, rhelLike } from '../../support/kernel-images.ts'
import type { Layout } from '../../support/kernel-layouts.ts'

// Small, because all of them are up at the same time.
// ... and all boot side by side, on a machine that may have other work.
const small = { memoryMib: 1024, cpus: 1, bootTimeoutMs: 900_000 } as const

const dockerfile = join(import.meta.dirname, '../../../fixtures/kernel-dockerfile/Dockerfile')

/** A kernel, which has an entry on each cgroup version. */
export interface MatrixKernel {
  readonly kernel: KernelOptions['kernel']
  /** What `uname -r` says. */
  readonly release: RegExp
  /** From 6.12 on, Debian's kernels have neither memory nor cpusets on cgroup v1: there it is an entry with `controllers: 'partial'`. */
  readonly lacks?: 'memory on v1'
  /** How the guest reaches its devices, and what its read-only disks and its writable one have. @default as Debian's kernels */
  readonly drivers?: readonly ['mmio' | 'pci', 'erofs' | 'squashfs' | 'ext4', 'ext4' | 'xfs' | 'btrfs']
  /** What its image has beside the kernel. Without modules nothing can be loaded: all its drivers are built in. @default both */
  readonly has?: readonly ('modules' | 'System.map')[]
  /** Built with the fragment cgroup-v1, in whose config that shows. */
  readonly isBuiltForV1?: true
}

const BOOKWORM = /^6\.1\.\d+-\d+-cloud-amd64$/
/** Built here. */
const BUILT = /^6\.1\.\d+$/

const image = (layout: Layout) => `docker-image://${kernelImage(layout)}`

const kernels: Readonly<Record<string, MatrixKernel>> = {
  bullseye: { kernel: 'debian:bullseye', release: /^5\.10\.\d+-\d+-cloud-amd64$/ },
  bookworm: { kernel: 'debian:bookworm', release: BOOKWORM },
  'bookworm-amd64': { kernel: 'debian:bookworm/amd64', release: /^6\.1\.\d+-\d+-amd64$/ },
  trixie: { kernel: 'debian:trixie', release: /^6\.12\.\d+\+deb13-cloud-amd64$/, lacks: 'memory on v1' },
  sid: { kernel: 'debian:sid', release: /^[789]\.\d+\.\d+\+deb\d+-cloud-amd64$/, lacks: 'memory on v1' },
  'trixie-backports': {
    kernel: 'debian:trixie-backports',
    release: /^[789]\.\d+\.\d+\+deb13-cloud-amd64$/,
    lacks: 'memory on v1',
  },
  // The newest of the security updates, which `debian:bookworm` does not look at.
  'bookworm-pinned': { kernel: 'debian:bookworm@6.1', release: BOOKWORM },
  // With the v1 controllers that Debian's own build of this source lacks.
  source: {
    kernel: { source: 'debian/trixie', config: ['cgroup-v1'] },
    release: /^6\.12\.\d+$/,
    isBuiltForV1: true,
  },
  // Devices on PCI and no EROFS, with all drivers as modules.
  'rhel-like': {
    kernel: { source: 'debian/bookworm', config: [rhelLike] },
    release: BUILT,
    drivers: ['pci', 'squashfs', 'ext4'],
  },
  // Kernels as others lay them out: e2e/support/kernel-layouts.ts.
  lvh: { kernel: `${image('lvh')}#6.1`, release: BUILT, drivers: ['pci', 'squashfs', 'ext4'] },
  rpm: { kernel: image('rpm'), release: BOOKWORM, drivers: ['pci', 'squashfs', 'ext4'] },
  'vmlinux-zst': { kernel: image('vmlinux.zst'), release: BOOKWORM },
  'ext4-alone': { kernel: image('ext4-alone'), release: BOOKWORM, drivers: ['mmio', 'ext4', 'ext4'] },
  xfs: { kernel: image('xfs'), release: BOOKWORM, drivers: ['mmio', 'erofs', 'xfs'] },
  btrfs: { kernel: image('btrfs'), release: BOOKWORM, drivers: ['mmio', 'erofs', 'btrfs'] },
  // Falco's images have an empty /lib/modules.
  falco: { kernel: image('falco'), release: BUILT, has: [] },
  'ci-kernels': {
    kernel: image('ci-kernels'),
    release: BUILT,
    drivers: ['pci', 'squashfs', 'ext4'],
    has: ['modules'],
  },
  dockerfile: {
    kernel: { dockerfile, buildArgs: { IMAGE: kernelImage('rpm') } },
    release: BOOKWORM,
    drivers: ['pci', 'squashfs', 'ext4'],
  },
}

type Entry = KernelOptions & { readonly cgroup: 1 | 2; readonly controllers: 'all' | 'partial' }

/** By name. What differs in the cgroup version alone has one image. */
const entries = new Map(
  Object.entries(kernels).flatMap(([name, row]) =>
    ([1, 2] as const).map((cgroup) => {
      const controllers = cgroup === 1 && row.lacks === 'memory on v1' ? 'partial' : 'all'
      const entry: Entry = { ...small, kernel: row.kernel, cgroup, controllers }
      return [`${name}-v${cgroup}` as string, { entry, row }] as const
    }),
  ),
)

const matrix: Readonly<Record<string, KernelOptions>> = Object.fromEntries(
  [...entries].map(([name, { entry }]) => [name, entry]),
)

/** Which package.json names: one after another is up, because idle guests, too, cost an emulating machine, and those of all entries most of it. */
const PARTS = 6

export const parts: readonly Readonly<Record<string, KernelOptions>>[] = Array.from({ length: PARTS }, (_, part) => {
  const of = (at: number) => Math.floor((at * PARTS) / entries.size)
  return Object.fromEntries(Object.entries(matrix).filter((_, at) => of(at) === part))
})

/** An entry of the matrix, and what its kernel must show. */
export function entryOf(name: string): { readonly entry: Entry; readonly row: MatrixKernel } {
  const found = entries.get(name)
  if (found === undefined) throw new Error(`the matrix has no entry ${name}`)
  return found
}
