import type { Architecture, Transport } from '../../arch/index.ts'
import type { MachineOption } from '../../options/index.ts'
import { hasOption, isBefore, type KernelFacts, type KernelVersion, versionOf } from './kernel-facts.ts'

/** What a VM is made of depends on these drivers of its kernel. */
export interface Drivers {
  readonly transport: Transport
  /** The file system of the two read-only disks, with the rootfs and with the kernel files. */
  readonly disks: ReadOnlyFileSystem
  /** The file system of the disk that the guest writes to. */
  readonly scratch: WritableFileSystem
}

export type ReadOnlyFileSystem = 'erofs' | 'squashfs' | 'ext4'
export type WritableFileSystem = 'ext4' | 'xfs' | 'btrfs'

/** One of several that would do, and the kernel options that it takes, without `CONFIG_`. */
interface Choice<Name extends string> {
  readonly name: Name
  readonly options: readonly string[]
  /** The first kernel whose driver will do. @default every one that has it */
  readonly since?: KernelVersion
}

/** The best is the first. */
type Choices<Name extends string> = readonly [Choice<Name>, ...Choice<Name>[]]

/** Without PCI there is less to look through at a boot. */
const transportsOf = ({ kernel }: Architecture): Choices<Transport> => [
  { name: 'mmio', options: ['VIRTIO_MMIO'] },
  { name: 'pci', options: ['PCI', 'VIRTIO_PCI', ...kernel.pciOptions] },
]

/** Up to 5.3 its driver was in staging, under the same name, and its format not settled. */
const EROFS: KernelVersion = [5, 4]

const readOnly: Choices<ReadOnlyFileSystem> = [
  { name: 'erofs', options: ['EROFS_FS'], since: EROFS },
  // No kernel mounts one without the compression that it names, although nothing in ours is compressed.
  { name: 'squashfs', options: ['SQUASHFS', 'SQUASHFS_ZLIB'] },
  { name: 'ext4', options: ['EXT4_FS'] },
]

const writable: Choices<WritableFileSystem> = [
  { name: 'ext4', options: ['EXT4_FS'] },
  { name: 'xfs', options: ['XFS_FS'] },
  { name: 'btrfs', options: ['BTRFS_FS'] },
]

export interface MachineRequest {
  readonly arch: Architecture
  readonly machine: MachineOption
}

/** The options of which the preflight asks for one set of each; the machine that an entry names must be there. */
export function driverOptions({ arch, machine }: MachineRequest) {
  const text = (choices: readonly Choice<string>[]) => choices.map(({ options }) => options.join(' ')).join(' | ')
  return {
    transport: text(transportsOf(arch).filter(({ name }) => machine === 'auto' || name === machine)),
    disks: [
      { since: EROFS, options: text(readOnly) },
      { until: EROFS, options: text(readOnly.filter(({ since }) => since === undefined)) },
    ],
    scratch: text(writable),
  }
}

/** The best that the kernel has; of a kernel whose config is not known, the best there is. */
export function chooseDrivers(facts: KernelFacts | undefined, { arch, machine }: MachineRequest): Drivers {
  const version = facts && versionOf(facts)
  const best = <Name extends string>([first, ...others]: Choices<Name>): Name => {
    const isThere = ({ options, since }: Choice<Name>) =>
      options.every((option) => facts && hasOption(facts, option)) && !(since && version && isBefore(version, since))
    if (facts?.config === undefined || isThere(first)) return first.name
    // The preflight has refused a kernel that has none of them.
    return (others.find(isThere) ?? first).name
  }
  return {
    transport: machine === 'auto' ? best(transportsOf(arch)) : machine,
    disks: best(readOnly),
    scratch: best(writable),
  }
}

/** The transport in words, where it is another than that of most VMs or was asked for. */
export function describeTransport(transport: Transport, machine: MachineOption): readonly string[] {
  if (machine !== 'auto') return [`devices on ${transport.toUpperCase()}, as asked for`]
  return transport === 'pci' ? ['devices on PCI, because the kernel has no VIRTIO_MMIO'] : []
}
