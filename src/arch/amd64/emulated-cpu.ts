import type { EmulatedCpu } from '../architecture.ts'

/**
 * Under emulation the guest's TSC is the host's, and a microvm has no HPET or PM timer to measure it with: when the PIT
 * calibration misses under load, the kernel marks the TSC unstable and hangs (6 of 100 boots; 0 of 130 with the rate given).
 *
 * A fifth level of page tables is one more that each miss of the TLB walks in software: without it a clone starts 4 % sooner,
 * with 6 % less CPU (paired, 13 rounds, QEMU 10.0).
 */
export const emulatedCpu: EmulatedCpu = {
  model: 'max,la57=off',
  kernelArguments: (counterKhz) => [`tsc_early_khz=${counterKhz}`, 'tsc=reliable'],
}
