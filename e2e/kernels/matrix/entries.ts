import { join } from 'node:path'
import { kernelImage, type Layout, rhelLike } from '../../support/kernel-images.ts'

// Small, because all of them are up at the same time.
const small = { memoryMib: 1024, cpus: 1 } as const
/** From 6.12 on, Debian's kernels have neither memory nor cpusets on cgroup v1. */
const withoutMemory = { ...small, cgroup: 1, controllers: 'partial' } as const

const dockerfile = join(import.meta.dirname, '../../../fixtures/kernel-dockerfile/Dockerfile')

const image = (layout: Layout) => `docker-image://${kernelImage(layout)}`

const source = { source: 'debian/trixie', config: ['cgroup-v1'] } as const

export const matrix = {
  'bullseye-v1': { ...small, kernel: 'debian:bullseye', cgroup: 1 },
  'bullseye-v2': { ...small, kernel: 'debian:bullseye', cgroup: 2 },
  'bookworm-v1': { ...small, kernel: 'debian:bookworm', cgroup: 1 },
  'bookworm-v2': { ...small, kernel: 'debian:bookworm', cgroup: 2 },
  'bookworm-amd64-v2': { ...small, kernel: 'debian:bookworm/amd64', cgroup: 2 },
  'trixie-v1': { ...withoutMemory, kernel: 'debian:trixie' },
  'trixie-v2': { ...small, kernel: 'debian:trixie', cgroup: 2 },
  'sid-v1': { ...withoutMemory, kernel: 'debian:sid' },
  'sid-v2': { ...small, kernel: 'debian:sid', cgroup: 2 },
  'trixie-backports-v2': { ...small, kernel: 'debian:trixie-backports', cgroup: 2 },
  // The newest of the security updates, which `debian:bookworm` does not look at.
  'bookworm-pinned-v1': { ...small, kernel: 'debian:bookworm@6.1', cgroup: 1 },
  // With the v1 controllers that Debian's own build of this source lacks.
  'source-v1': { ...small, kernel: source, cgroup: 1 },
  'source-v2': { ...small, kernel: source, cgroup: 2 },
  // Devices on PCI and no EROFS, with all drivers as modules.
  'rhel-like-v1': { ...small, kernel: { source: 'debian/bookworm', config: [rhelLike] }, cgroup: 1 },
  'rhel-like-v2': { ...small, kernel: { source: 'debian/bookworm', config: [rhelLike] }, cgroup: 2 },
  // Kernels as others lay them out: e2e/support/kernel-images.ts.
  'lvh-v2': { ...small, kernel: `${image('lvh')}#6.1`, cgroup: 2 },
  'rpm-v1': { ...small, kernel: image('rpm'), cgroup: 1 },
  'vmlinux-zst-v2': { ...small, kernel: image('vmlinux.zst'), cgroup: 2 },
  'ext4-alone-v2': { ...small, kernel: image('ext4-alone'), cgroup: 2 },
  'xfs-v2': { ...small, kernel: image('xfs'), cgroup: 2 },
  'btrfs-v1': { ...small, kernel: image('btrfs'), cgroup: 1 },
  'falco-v2': { ...small, kernel: image('falco'), cgroup: 2 },
  'ci-kernels-v1': { ...small, kernel: image('ci-kernels'), cgroup: 1 },
  'dockerfile-v1': { ...small, kernel: { dockerfile, buildArgs: { IMAGE: kernelImage('rpm') } }, cgroup: 1 },
} as const

const BOOKWORM = /^6\.1\.\d+-\d+-cloud-amd64$/

/** What `uname -r` says on each. */
export const releases: Readonly<Record<keyof typeof matrix, RegExp>> = {
  'bullseye-v1': /^5\.10\.\d+-\d+-cloud-amd64$/,
  'bullseye-v2': /^5\.10\.\d+-\d+-cloud-amd64$/,
  'bookworm-v1': BOOKWORM,
  'bookworm-v2': BOOKWORM,
  'bookworm-amd64-v2': /^6\.1\.\d+-\d+-amd64$/,
  'trixie-v1': /^6\.12\.\d+\+deb13-cloud-amd64$/,
  'trixie-v2': /^6\.12\.\d+\+deb13-cloud-amd64$/,
  'sid-v1': /^[789]\.\d+\.\d+\+deb\d+-cloud-amd64$/,
  'sid-v2': /^[789]\.\d+\.\d+\+deb\d+-cloud-amd64$/,
  'trixie-backports-v2': /^[789]\.\d+\.\d+\+deb13-cloud-amd64$/,
  'bookworm-pinned-v1': /^6\.1\.\d+-\d+-cloud-amd64$/,
  'source-v1': /^6\.12\.\d+$/,
  'source-v2': /^6\.12\.\d+$/,
  'rhel-like-v1': /^6\.1\.\d+$/,
  'rhel-like-v2': /^6\.1\.\d+$/,
  'lvh-v2': BOOKWORM,
  'rpm-v1': BOOKWORM,
  'vmlinux-zst-v2': BOOKWORM,
  'ext4-alone-v2': BOOKWORM,
  'xfs-v2': BOOKWORM,
  'btrfs-v1': BOOKWORM,
  'falco-v2': /^6\.1\.\d+$/,
  'dockerfile-v1': BOOKWORM,
  'ci-kernels-v1': /^6\.1\.\d+$/,
}

/** How the guest reaches its devices, and what its read-only disks and its writable one have, where it is not what Debian's kernels get. */
export const drivers: Partial<Readonly<Record<keyof typeof matrix, readonly [string, string, string]>>> = {
  'rhel-like-v1': ['pci', 'squashfs', 'ext4'],
  'rhel-like-v2': ['pci', 'squashfs', 'ext4'],
  'rpm-v1': ['pci', 'squashfs', 'ext4'],
  'dockerfile-v1': ['pci', 'squashfs', 'ext4'],
  'ext4-alone-v2': ['mmio', 'ext4', 'ext4'],
  'xfs-v2': ['mmio', 'erofs', 'xfs'],
  'btrfs-v1': ['mmio', 'erofs', 'btrfs'],
}
