import { expect, test } from 'vitest'
import { parseMatrix } from './kernel-entry.ts'
import { type KernelMatrixOptions, kernelMatrix } from './kernel-matrix.ts'

const names = (matrix: KernelMatrixOptions) => kernelMatrix(matrix).map(({ name }) => name)
const both = { kernel: ['debian:bullseye', 'debian:bookworm'], cgroup: [1, 2] } as const

test('every kernel on every cgroup version, named after both', () => {
  expect(kernelMatrix(both)).toEqual([
    { name: 'bullseye-cgroupv1', kernel: 'debian:bullseye', cgroup: 1 },
    { name: 'bullseye-cgroupv2', kernel: 'debian:bullseye', cgroup: 2 },
    { name: 'bookworm-cgroupv1', kernel: 'debian:bookworm', cgroup: 1 },
    { name: 'bookworm-cgroupv2', kernel: 'debian:bookworm', cgroup: 2 },
  ])
})

test('is what a matrix of entries is made of, frozen', () => {
  const matrix = kernelMatrix({ ...both, memoryMib: 1024 })
  expect(parseMatrix(matrix)).toHaveLength(4)
  expect(matrix.every(({ memoryMib }) => memoryMib === 1024)).toBe(true)
  expect([matrix, ...matrix].every(Object.isFrozen)).toBe(true)
})

test('a name has the kernel and what comes from lists, and stays when a list grows', () => {
  const kernel = 'debian:trixie'
  expect(names({ kernel, cgroup: [2] })).toEqual(['trixie-cgroupv2'])
  expect(names({ kernel: [kernel], cgroup: 2 })).toEqual(['trixie'])
  expect(names({ memoryMib: [512, 4096], kernel, cpus: [1] })).toEqual(['trixie-512mib-1cpus', 'trixie-4096mib-1cpus'])
  expect(names({ kernel, init: [['/bin/a', 'x'], ['b']] })).toEqual(['trixie-a', 'trixie-b'])
  expect(names({ kernel, init: ['/bin/a', 'x'] })).toEqual(['trixie'])
  expect(names({ kernel, init: 'systemd' })).toEqual(['trixie'])
  expect(names({ kernel, init: ['testkernels', 'systemd', ['b']] })).toEqual([
    'trixie-testkernels',
    'trixie-systemd',
    'trixie-b',
  ])
  expect(names({ kernel, images: ['busybox'] })).toEqual(['trixie'])
  const dockerfile = import.meta.filename
  const images = [['redis:7', { dockerfile, tag: 'app' }], [{ dockerfile, context: import.meta.dirname }], []]
  expect(names({ kernel, images })).toEqual(['trixie-redis-7-app', 'trixie-options', 'trixie-no-images'])
  expect(names({ kernel, kernelArguments: ['nosmt'], modules: ['dummy'] })).toEqual(['trixie'])
  expect(names({ kernel, kernelArguments: [['lockdown=integrity', 'nosmt'], []] })).toEqual([
    'trixie-lockdown-integrity-nosmt',
    'trixie-no-arguments',
  ])
  expect(names({ kernel, modules: [['dummy'], []], sysctls: [{ 'kernel.pid_max': '99' }] })).toEqual([
    'trixie-dummy-kernel.pid_max-99',
    'trixie-no-modules-kernel.pid_max-99',
  ])
  expect(names({ kernel, daemon: [{ debug: true }, {}], egress: ['10.0.0.0/8'] })).toEqual([
    'trixie-debug',
    'trixie-no-daemon-options',
  ])
  expect(names({ kernel, egress: ['none', ['10.0.0.0/8', ':53']] })).toEqual([
    'trixie-egress-none',
    'trixie-egress-10.0.0.0-8-53',
  ])
  expect(names({ kernel, network: ['none', 'lab'] })).toEqual(['trixie-no-network', 'trixie-on-lab'])
  expect(names({ kernel, hostPorts: [[5432, 8080], []] })).toEqual([
    'trixie-host-ports-5432-8080',
    'trixie-host-ports-none',
  ])
  expect(names({ kernel, template: [true, false], spares: ['auto', 1] })).toEqual([
    'trixie-saved-auto-spares',
    'trixie-saved-1-spares',
    'trixie-cold-auto-spares',
    'trixie-cold-1-spares',
  ])
})

test('kernels of every kind have a name, and no two the same', () => {
  const source = (config: string[]) => ({ source: 'debian/trixie', config })
  const kernel = [
    'debian:bookworm/amd64',
    'version:6.12.10',
    'docker-image://example.org/kernels/lts:6.6',
    source([]),
    source(['cgroup-v1']),
    { dockerfile: 'docs/kernels/dnf.Dockerfile', buildArgs: { IMAGE: 'rockylinux:9' } },
    `docker-image://${'x'.repeat(80)}a`,
    `docker-image://${'x'.repeat(80)}b`,
  ]
  expect(names({ kernel })).toEqual([
    'bookworm-amd64',
    '6.12.10',
    'example.org-kernels-lts-6.6',
    'source-debian-trixie',
    'source-debian-trixie-cgroup-v1',
    'dnf-rockylinux-9',
    'x'.repeat(63),
    `${'x'.repeat(59)}-2`,
  ])
})

test('exclude takes away each combination that has all of its values', () => {
  expect(names({ ...both, exclude: [{ kernel: 'debian:bullseye', cgroup: 2 }] })).not.toContain('bullseye-cgroupv2')
  expect(names({ ...both, exclude: [{ cgroup: 1 }, { kernel: 'debian:bullseye', cgroup: 1 }] })).toEqual([
    'bullseye-cgroupv2',
    'bookworm-cgroupv2',
  ])
})

test('an exclude that takes nothing away is a mistake', () => {
  expect(() => kernelMatrix({ ...both, exclude: [{ kernel: 'debian:bookwurm' }] })).toThrow(
    'exclude {"kernel":"debian:bookwurm"} fits no combination',
  )
})

test('include adds options to each combination that it does not contradict', () => {
  const matrix = kernelMatrix({
    ...both,
    include: [{ cpus: 1 }, { kernel: 'debian:bookworm', cpus: 4, memoryMib: 4096 }],
  })
  expect(matrix.map(({ cpus, memoryMib }) => [cpus, memoryMib])).toEqual([
    [1, undefined],
    [1, undefined],
    [4, 4096],
    [4, 4096],
  ])
})

test('an include that contradicts them all is a combination of its own, which later ones leave alone', () => {
  const matrix = kernelMatrix({
    ...both,
    memoryMib: 1024,
    include: [{ kernel: 'debian:sid', cgroup: 2 }, { kernel: 'debian:trixie', name: 'newest' }, { cpus: 3 }],
  })
  expect(matrix.slice(4)).toEqual([
    { name: 'sid-cgroupv2', kernel: 'debian:sid', cgroup: 2, memoryMib: 1024 },
    { name: 'newest', kernel: 'debian:trixie', memoryMib: 1024 },
  ])
})

test('an include can name one combination, and not two', () => {
  const one = { kernel: 'debian:bookworm', cgroup: 1 } as const
  expect(names({ ...both, include: [{ ...one, name: 'old' }] })).toContain('old')
  expect(() => kernelMatrix({ ...both, include: [{ kernel: 'debian:bookworm', name: 'old' }] })).toThrow(
    "two entries are named 'old'",
  )
})

test.each([
  [{ cgroup: [1, 2] }, "option 'kernel' is missing"],
  [{ kernel: ['debian:potato'] }, "unknown kernel 'debian:potato'"],
  [{ kernel: ['debian:trixie'], cgroup: [1, 3] }, "trixie-cgroupv3: option 'cgroup' must be"],
  [{ kernel: ['debian:trixie'], memory: [1] }, "unknown option 'memory'"],
  [{ kernel: [] }, 'the matrix has no entry'],
  [{}, 'the matrix has no entry'],
])('a mistake in %j is an error at once', (matrix, message) => {
  expect(() => kernelMatrix(matrix as never)).toThrow(message)
})
