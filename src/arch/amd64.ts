import { closeSync, openSync, readSync } from 'node:fs'
import type { Architecture, EmulatedCpu } from './architecture.ts'

/** A head's fields, from Documentation/arch/x86/boot.rst. */
const MAGIC = { offset: 0x202, text: 'HdrS' }
const VERSION_POINTER = 0x20e
/** What the pointer counts from. */
const VERSION_BASE = 0x200
/** The pointer has 16 bits, and the text behind it is short. */
const HEAD_BYTES = VERSION_BASE + 0xffff + 512

/**
 * What `uname -r` will say on the kernel in this file, or undefined if it is no bzImage.
 * @throws what reading throws
 */
function readRelease(vmlinuz: string): string | undefined {
  const head = readHead(vmlinuz)
  if (head.toString('latin1', MAGIC.offset, MAGIC.offset + 4) !== MAGIC.text) return undefined
  const start = VERSION_BASE + head.readUInt16LE(VERSION_POINTER)
  const [release = ''] = head.toString('latin1', start, start + 200).split(/[\0 ]/)
  return /^\d+\.\d+[\w.+~-]*$/.test(release) ? release : undefined
}

function readHead(path: string): Buffer {
  const file = openSync(path, 'r')
  try {
    const head = Buffer.alloc(HEAD_BYTES)
    readSync(file, head, 0, HEAD_BYTES, 0)
    return head
  } finally {
    closeSync(file)
  }
}

/**
 * Under emulation the guest's TSC is the host's, and a microvm has no HPET or PM timer to measure it with: when the PIT
 * calibration misses under load, the kernel marks the TSC unstable and hangs (6 of 100 boots; 0 of 130 with the rate given).
 *
 * A fifth level of page tables is one more that each miss of the TLB walks in software: without it a clone starts 4 % sooner,
 * with 6 % less CPU (paired, 13 rounds, QEMU 10.0).
 */
const emulatedCpu: EmulatedCpu = {
  model: 'max,la57=off',
  kernelArguments: (counterKhz) => [`tsc_early_khz=${counterKhz}`, 'tsc=reliable'],
}

/** SeaBIOS spins forever on the disks of a microvm (seen with QEMU 10.0); qboot does nothing but start the kernel. */
const QBOOT = 'qboot.rom'

export const amd64: Architecture = {
  name: 'amd64',
  machine: 'x86_64',
  platform: { os: 'linux', architecture: 'amd64' },
  qemu: {
    program: 'qemu-system-x86_64',
    debianPackage: 'qemu-system-x86',
    machines: {
      // ACPI, because the kernels of distributions find virtio-mmio devices in no other way.
      mmio: { machine: 'microvm,acpi=on,rtc=on', firmware: QBOOT },
      // Sooner than q35 (docs/architecture.md), and with fewer devices.
      pci: { machine: 'microvm,acpi=on,rtc=on,pcie=on', firmware: QBOOT },
    },
    // Hardware-reduced ACPI, which a microvm has, keeps a kernel from the PIT, and up to 5.3 it measures the local APIC's timer with that
    // alone: it dereferences NULL. A processor with TSC deadlines spares it, and emulation has none.
    oldMachine: { until: [5, 4], machine: 'q35,usb=off,sata=off,smbus=off,vmport=off' },
    console: 'ttyS0',
    // A triple fault, which needs no device.
    kernelArguments: ['reboot=t'],
  },
  kernel: {
    arch: 'x86_64',
    directory: 'x86',
    image: 'bzImage',
    // EM_X86_64
    elfMachine: 62,
    // __START_KERNEL_map
    imageMap: 0xffff_ffff_8000_0000n,
    // The smallest: less to load, and all that a virtual machine has.
    debianFlavour: 'cloud-amd64',
    readRelease,
    // A microvm has no ports for the configuration of PCI devices.
    pciOptions: ['PCI_MMCONFIG'],
    needs: [
      { of: 'guest', options: 'ACPI PCI', purpose: "finding the machine's devices; ACPI alone cannot read its tables" },
      { of: 'feature', options: 'SERIAL_8250_CONSOLE', purpose: 'a console, which tells why a guest died' },
    ],
  },
  emulatedCpu,
  cpuinfoFields: ['model name', 'microcode', 'flags'],
  kvmModules: ['kvm_intel', 'kvm_amd'],
}
