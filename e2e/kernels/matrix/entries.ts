// Small, because all of them are up at the same time.
const small = { memoryMib: 1024, cpus: 1 } as const
/** From 6.12 on, Debian's kernels have neither memory nor cpusets on cgroup v1. */
const withoutMemory = { ...small, cgroup: 1, controllers: 'partial' } as const

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
} as const

/** What `uname -r` says on each. */
export const releases: Readonly<Record<keyof typeof matrix, RegExp>> = {
  'bullseye-v1': /^5\.10\.\d+-\d+-cloud-amd64$/,
  'bullseye-v2': /^5\.10\.\d+-\d+-cloud-amd64$/,
  'bookworm-v1': /^6\.1\.\d+-\d+-cloud-amd64$/,
  'bookworm-v2': /^6\.1\.\d+-\d+-cloud-amd64$/,
  'bookworm-amd64-v2': /^6\.1\.\d+-\d+-amd64$/,
  'trixie-v1': /^6\.12\.\d+\+deb13-cloud-amd64$/,
  'trixie-v2': /^6\.12\.\d+\+deb13-cloud-amd64$/,
  'sid-v1': /^[789]\.\d+\.\d+\+deb\d+-cloud-amd64$/,
  'sid-v2': /^[789]\.\d+\.\d+\+deb\d+-cloud-amd64$/,
  'trixie-backports-v2': /^[789]\.\d+\.\d+\+deb13-cloud-amd64$/,
  'bookworm-pinned-v1': /^6\.1\.\d+-\d+-cloud-amd64$/,
  'source-v1': /^6\.12\.\d+$/,
  'source-v2': /^6\.12\.\d+$/,
}
