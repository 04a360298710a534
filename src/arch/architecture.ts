/** What is of one architecture alone: a file here says it of each that guests can have. */
export interface Architecture {
  /** As OCI images and Debian call it, and the folders of `images/` with what is of it alone. */
  readonly name: string
  /** As `uname -m` says it, and an engine. */
  readonly machine: string
  readonly qemu: QemuNames
  readonly kernel: KernelNames
  /** As OCI images have it. */
  readonly platform: { readonly os: 'linux'; readonly architecture: string; readonly variant?: string }
  /** The guest's processor, with its features as QEMU takes them; under KVM it is the host's. */
  readonly emulatedCpu: EmulatedCpu
  /** The fields of /proc/cpuinfo that say what a guest under KVM can do on a processor. */
  readonly cpuinfoFields: readonly string[]
  /** The kernel's modules of which one makes /dev/kvm. */
  readonly kvmModules: readonly string[]
}

export interface QemuNames {
  /** The program that emulates the architecture. */
  readonly program: string
  /** The package of Debian's that has it. */
  readonly debianPackage: string
  /** A machine for each way in which a guest may find its devices. */
  readonly machines: Readonly<Record<Transport, QemuMachine>>
  /** For kernels from before `until`, which do not come up on those; its devices are on PCI. */
  readonly oldMachine: QemuMachine & { readonly until: readonly [major: number, minor: number] }
  /** The device of the first serial port in the guest. */
  readonly console: string
  /** What this machine's kernel is told at each boot. */
  readonly kernelArguments: readonly string[]
}

/**
 * How a guest reaches its virtio devices, as the virtio specification has it: at addresses that the firmware's tables name, or on a PCI
 * bus. A kernel has drivers for both, or for one.
 */
export type Transport = 'mmio' | 'pci'

export interface QemuMachine {
  /** Its name, with its properties. */
  readonly machine: string
  /** What the machine starts with. @default the machine's own */
  readonly firmware?: string
}

export interface KernelNames {
  /** As its makefiles call the architecture: `make ARCH=...`. */
  readonly arch: string
  /** Its directory below `arch` in the source. */
  readonly directory: string
  /** The target that makes what QEMU boots, and the name of the file. */
  readonly image: string
  /** What the header of an ELF says that is for it: EM_... of elf.h. */
  readonly elfMachine: number
  /** Where its image is mapped: in VMCOREINFO, `phys_base` is what RAM begins at, less this, in that mapping. */
  readonly imageMap: bigint
  /** Debian's flavour for an entry that names none. */
  readonly debianFlavour: string
  /**
   * What `uname -r` will say on the image in this file, or undefined if it is none of the architecture's.
   * @throws what reading throws
   */
  readonly readRelease: (vmlinuz: string) => string | undefined
  /** Kernel options, without `CONFIG_`, that it takes to find anything on the machine's PCI bus, beside those of virtio. */
  readonly pciOptions: readonly string[]
  /** What a guest wants of its kernel on this machine. */
  readonly needs: readonly MachineNeed[]
}

/** Of the kind that `src/image/preflight` compares a kernel's config with. */
export interface MachineNeed {
  /** `guest`: without it none comes up; `feature`: it goes without. */
  readonly of: 'guest' | 'feature'
  /** Kernel options that must all be on, without `CONFIG_`. */
  readonly options: string
  readonly purpose: string
}

export interface EmulatedCpu {
  readonly model: string
  /**
   * What a kernel on it is told.
   * @param counterKhz rate of the counter that its clock runs by (images/runner/NAME/counter-khz.c), or what is put in its
   *   place later
   */
  readonly kernelArguments: (counterKhz: number | string) => readonly string[]
}
