/** What is of one architecture alone: a folder here says it of each that guests can have. */
export interface Architecture {
  /** As OCI images and Debian call it, and the folders of `images/` with what is of it alone. */
  readonly name: string
  /** As `uname -m` says it, and an engine. */
  readonly machine: string
  readonly qemu: QemuNames
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
  /** The machine, with its properties. */
  readonly machine: string
  /** What the machine starts with. @default the machine's own */
  readonly firmware?: string
  /** The device of the first serial port in the guest. */
  readonly console: string
  /** What this machine's kernel is told at each boot. */
  readonly kernelArguments: readonly string[]
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
