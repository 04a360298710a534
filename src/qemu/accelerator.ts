import type { Device } from './devices/device.ts'

export type Accelerator =
  | { readonly kind: 'kvm' }
  | {
      readonly kind: 'tcg'
      /** Rate of the host's time stamp counter, in kHz; or what the entrypoint measures at the start. */
      readonly tscKhz: number | typeof MEASURED_AT_START
    }

/** The entrypoint puts the measured rate in its place. */
export const MEASURED_AT_START = '@tsc_khz@'

/**
 * CPU and accelerator. Under emulation the guest's TSC is the host's, and a microvm has no HPET or PM timer to measure it
 * with: when the PIT calibration misses under load, the kernel marks the TSC unstable and hangs (6 of 100 boots; 0 of 130
 * with the rate given).
 *
 * A fifth level of page tables is one more that each miss of the TLB walks in software: without it a clone starts 4 % sooner,
 * with 6 % less CPU (paired, 13 rounds, QEMU 10.0).
 */
export function accelerator(chosen: Accelerator): Device {
  if (chosen.kind === 'kvm') return { qemu: ['-accel', 'kvm', '-cpu', 'host'] }
  return {
    qemu: ['-accel', 'tcg,thread=multi', '-cpu', 'max,la57=off'],
    kernel: [`tsc_early_khz=${chosen.tscKhz}`, 'tsc=reliable'],
  }
}
