/** What one device adds to QEMU's command line and to the kernel's. */
export interface Device {
  readonly qemu: readonly string[]
  readonly kernel?: readonly string[]
}
