import type { Architecture } from '../architecture.ts'
import { readRelease } from './bzimage.ts'
import { emulatedCpu } from './emulated-cpu.ts'

export const amd64: Architecture = {
  name: 'amd64',
  machine: 'x86_64',
  platform: { os: 'linux', architecture: 'amd64' },
  qemu: {
    program: 'qemu-system-x86_64',
    debianPackage: 'qemu-system-x86',
    // ACPI, because the kernels of distributions find virtio-mmio devices in no other way.
    machine: 'microvm,acpi=on,rtc=on',
    // SeaBIOS spins forever on this machine's disks (seen with QEMU 10.0); qboot does nothing but start the kernel.
    firmware: 'qboot.rom',
    console: 'ttyS0',
    // A triple fault, which needs no device.
    kernelArguments: ['reboot=t'],
  },
  kernel: {
    arch: 'x86_64',
    directory: 'x86',
    image: 'bzImage',
    // The smallest: less to load, and all that a virtual machine has.
    debianFlavour: 'cloud-amd64',
    readRelease,
    needs: [
      { of: 'guest', options: 'ACPI PCI', purpose: "finding the machine's devices; ACPI alone cannot read its tables" },
      { of: 'feature', options: 'SERIAL_8250_CONSOLE', purpose: 'a console, which tells why a guest died' },
    ],
  },
  emulatedCpu,
  cpuinfoFields: ['model name', 'microcode', 'flags'],
  kvmModules: ['kvm_intel', 'kvm_amd'],
}
