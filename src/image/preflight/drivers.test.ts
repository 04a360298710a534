import { expect, test } from 'vitest'
import { amd64 as arch } from '../../arch/amd64.ts'
import type { MachineOption } from '../../options/index.ts'
import { chooseDrivers, type Drivers, describeMachine } from './drivers.ts'
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
    generation: 'current',
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

test.each<[string, MachineOption, Partial<Drivers>]>([
  ['4.18.0-348.el8', 'auto', { transport: 'pci', generation: 'old' }],
  ['5.3.0', 'auto', { transport: 'pci', generation: 'old' }],
  ['5.3.0', 'pci', { transport: 'pci', generation: 'old' }],
  ['5.3.0', 'mmio', { transport: 'mmio', generation: 'current' }],
  ['5.4.0', 'auto', { transport: 'mmio', generation: 'current' }],
  ['5.4.0', 'pci', { transport: 'pci', generation: 'current' }],
])('the machine of %s, asked for as %s', (release, machine, drivers) => {
  expect(chooseDrivers({ ...factsWithout([]), release }, { arch, machine })).toMatchObject(drivers)
})

test('of an old kernel whose config is not known, what only later ones have is not tried', () => {
  const facts = { release: '4.19.0', modules: 'present', config: undefined } as const
  expect(chooseDrivers(facts, { arch, machine: 'auto' })).toEqual({
    transport: 'pci',
    generation: 'old',
    disks: 'squashfs',
    scratch: 'ext4',
  })
})

test('the machine is told where it is not the usual one, or was asked for', () => {
  const [mmio, pci] = [
    { transport: 'mmio', generation: 'current' } as const,
    { transport: 'pci', generation: 'current' } as const,
  ]
  expect(describeMachine(mmio, 'auto')).toEqual([])
  expect(describeMachine(pci, 'auto')).toEqual(['devices on PCI, because the kernel has no VIRTIO_MMIO'])
  expect(describeMachine({ ...pci, generation: 'old' }, 'auto')).toEqual(['devices on PCI, because the kernel is old'])
  expect(describeMachine(mmio, 'mmio')).toEqual(['devices on MMIO, as asked for'])
})
