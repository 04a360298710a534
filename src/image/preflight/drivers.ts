import type { Transport } from '../../arch/index.ts'
import type { MachineOption } from '../../options/index.ts'
import { hasOption, type KernelFacts } from './kernel-facts.ts'

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
}

/** The best is the first. */
type Choices<Name extends string> = readonly [Choice<Name>, ...Choice<Name>[]]

/** Without PCI there is less to look through at a boot. */
const transports: Choices<Transport> = [
  { name: 'mmio', options: ['VIRTIO_MMIO'] },
  { name: 'pci', options: ['PCI', 'VIRTIO_PCI'] },
]

const readOnly: Choices<ReadOnlyFileSystem> = [
  { name: 'erofs', options: ['EROFS_FS'] },
  // No kernel mounts one without the compression that it names, although nothing in ours is compressed.
  { name: 'squashfs', options: ['SQUASHFS', 'SQUASHFS_ZLIB'] },
  { name: 'ext4', options: ['EXT4_FS'] },
]

const writable: Choices<WritableFileSystem> = [
  { name: 'ext4', options: ['EXT4_FS'] },
  { name: 'xfs', options: ['XFS_FS'] },
  { name: 'btrfs', options: ['BTRFS_FS'] },
]

/** The options of which the preflight asks for one set of each; the machine that an entry names must be there. */
export function driverOptions(machine: MachineOption) {
  const text = (choices: readonly Choice<string>[]) => choices.map(({ options }) => options.join(' ')).join(' | ')
  return {
    transport: text(transports.filter(({ name }) => machine === 'auto' || name === machine)),
    disks: text(readOnly),
    scratch: text(writable),
  }
}

/** The best that the kernel has; of a kernel whose config is not known, the best there is. */
export function chooseDrivers(facts: KernelFacts | undefined, machine: MachineOption): Drivers {
  const best = <Name extends string>([first, ...others]: Choices<Name>): Name => {
    const isThere = ({ options }: Choice<Name>) => options.every((option) => facts && hasOption(facts, option))
    if (facts?.config === undefined || isThere(first)) return first.name
    // The preflight has refused a kernel that has none of them.
    return (others.find(isThere) ?? first).name
  }
  return {
    transport: machine === 'auto' ? best(transports) : machine,
    disks: best(readOnly),
    scratch: best(writable),
  }
}

/** The transport in words, where it is another than that of most VMs or was asked for. */
export function describeTransport(transport: Transport, machine: MachineOption): readonly string[] {
  if (machine !== 'auto') return [`devices on ${transport.toUpperCase()}, as asked for`]
  return transport === 'pci' ? ['devices on PCI, because the kernel has no VIRTIO_MMIO'] : []
}
