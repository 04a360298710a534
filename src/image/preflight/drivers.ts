import type { Architecture, Transport } from '../../arch/index.ts'
import type { MachineOption } from '../../options/index.ts'
import { hasOption, isBefore, type KernelFacts, type KernelVersion, versionOf } from './kernel-facts.ts'

/** What a VM is made of depends on these drivers of its kernel. */
export interface Drivers {
  readonly transport: Transport
  /** `old`: on another machine than `transport` says the kernel would not come up. */
  readonly generation: 'old' | 'current'
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

/** Without PCI there is less to look through at a boot. An old machine has nothing else. */
const transportsOf = ({ kernel, qemu }: Architecture): Choices<Transport> => [
  { name: 'mmio', options: ['VIRTIO_MMIO'], since: qemu.oldMachine.until },
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
  const byVersion = (choices: readonly Choice<string>[], version: KernelVersion) => [
    { since: version, options: text(choices) },
    { until: version, options: text(choices.filter(({ since }) => since === undefined)) },
  ]
  const transports = transportsOf(arch)
  return {
    transports:
      machine === 'auto'
        ? byVersion(transports, arch.qemu.oldMachine.until)
        : [{ options: text(transports.filter(({ name }) => name === machine)) }],
    disks: byVersion(readOnly, EROFS),
    scratch: text(writable),
  }
}

/** The best that the kernel has; of a kernel whose config is not known, the best that its version can have. */
export function chooseDrivers(facts: KernelFacts | undefined, { arch, machine }: MachineRequest): Drivers {
  const version = facts && versionOf(facts)
  const isOlder = (than: KernelVersion) => version !== undefined && isBefore(version, than)
  const best = <Name extends string>(choices: Choices<Name>): Name => {
    const candidates = choices.filter(({ since }) => since === undefined || !isOlder(since))
    const isThere = ({ options }: Choice<Name>) =>
      facts?.config === undefined || options.every((option) => hasOption(facts, option))
    // The preflight has refused a kernel that has none of them.
    return (candidates.find(isThere) ?? choices[0]).name
  }
  const transport = machine === 'auto' ? best(transportsOf(arch)) : machine
  return {
    transport,
    // Who asks for `mmio` gets it: with KVM such a kernel may come up.
    generation: transport === 'pci' && isOlder(arch.qemu.oldMachine.until) ? 'old' : 'current',
    disks: best(readOnly),
    scratch: best(writable),
  }
}

/** The machine in words, where it is another than that of most VMs or was asked for. */
export function describeMachine(
  { transport, generation }: Pick<Drivers, 'transport' | 'generation'>,
  machine: MachineOption,
): readonly string[] {
  if (machine !== 'auto') return [`devices on ${transport.toUpperCase()}, as asked for`]
  if (generation === 'old') return ['devices on PCI, because the kernel is old']
  return transport === 'pci' ? ['devices on PCI, because the kernel has no VIRTIO_MMIO'] : []
}
