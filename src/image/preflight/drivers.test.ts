import { expect, test } from 'vitest'
import { amd64 as arch } from '../../arch/amd64.ts'
import { chooseDrivers, type Drivers, describeTransport } from './drivers.ts'
import { type KernelFacts, parseKernelConfig } from './kernel-facts.ts'

/** What Debian's kernels have. */
const debian = {
  ...{ VIRTIO_MMIO: 'm', PCI: 'y', PCI_MMCONFIG: 'y', VIRTIO_PCI: 'm' },
  ...{ EROFS_FS: 'm', SQUASHFS: 'm', SQUASHFS_ZLIB: 'y', EXT4_FS: 'y', XFS_FS: 'm', BTRFS_FS: 'm' },
}

function factsWithout(options: readonly string[], modules: KernelFacts['modules'] = 'present'): KernelFacts {
  const lines = Object.entries(debian).map(([name, value]) =>
    options.includes(name) ? `# CONFIG_${name} is not set` : `CONFIG_${name}=${value}`,
  )
  return { release: '6.1.0', modules, config: parseKernelConfig(lines.join('\n')) }
}

test.each<[string, string[], Partial<Drivers>]>([
  ['all that Debian has', [], { transport: 'mmio', disks: 'erofs', scratch: 'ext4' }],
  ['devices on PCI alone', ['VIRTIO_MMIO'], { transport: 'pci' }],
  ['no EROFS', ['EROFS_FS'], { disks: 'squashfs' }],
  ['squashfs without the compression that disks of ours name', ['EROFS_FS', 'SQUASHFS_ZLIB'], { disks: 'ext4' }],
  ['ext4 and nothing else', ['EROFS_FS', 'SQUASHFS', 'XFS_FS', 'BTRFS_FS'], { disks: 'ext4', scratch: 'ext4' }],
  ['no ext4', ['EXT4_FS'], { disks: 'erofs', scratch: 'xfs' }],
  ['neither ext4 nor XFS', ['EXT4_FS', 'XFS_FS'], { scratch: 'btrfs' }],
])('a kernel with %s gets a machine that fits', (_, options, drivers) => {
  expect(chooseDrivers(factsWithout(options), { arch, machine: 'auto' })).toMatchObject(drivers)
})

test('a driver that is a module counts for nothing without modules', () => {
  expect(chooseDrivers(factsWithout([], 'absent'), { arch, machine: 'auto' })).toMatchObject({
    disks: 'ext4',
    scratch: 'ext4',
  })
})

test.each([
  ['whose config is not known', { release: '6.1.0', modules: 'absent', config: undefined } as const],
  ['of an image that does not say which it has', undefined],
])('with a kernel %s the usual machine is tried, or the one that was asked for', (_, facts) => {
  expect(chooseDrivers(facts, { arch, machine: 'auto' })).toEqual({
    transport: 'mmio',
    disks: 'erofs',
    scratch: 'ext4',
  })
  expect(chooseDrivers(facts, { arch, machine: 'pci' })).toMatchObject({ transport: 'pci' })
})

test.each<[string, Drivers['disks']]>([
  ['5.3.0', 'squashfs'],
  ['5.4.0', 'erofs'],
])("a kernel's EROFS of %s makes disks of %s: up to 5.3 it was in staging", (release, disks) => {
  expect(chooseDrivers({ ...factsWithout([]), release }, { arch, machine: 'auto' })).toMatchObject({ disks })
})

test('the transport is told where it is not the usual one, or was asked for', () => {
  expect(describeTransport('mmio', 'auto')).toEqual([])
  expect(describeTransport('pci', 'auto')).toEqual(['devices on PCI, because the kernel has no VIRTIO_MMIO'])
  expect(describeTransport('mmio', 'mmio')).toEqual(['devices on MMIO, as asked for'])
})
