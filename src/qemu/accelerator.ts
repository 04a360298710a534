import type { Architecture } from '../arch/index.ts'
import type { Device } from './devices/device.ts'

export type Accelerator =
  | { readonly kind: 'kvm' }
  | {
      readonly kind: 'tcg'
      /** Rate of the counter that the guest's clock runs by, in kHz; or what the entrypoint measures at the start. */
      readonly counterKhz: number | typeof MEASURED_AT_START
    }

/** The entrypoint puts the measured rate in its place. */
export const MEASURED_AT_START = '@counter_khz@'

/** CPU and accelerator. */
export function accelerator(chosen: Accelerator, { emulatedCpu }: Architecture): Device {
  if (chosen.kind === 'kvm') return { qemu: ['-accel', 'kvm', '-cpu', 'host'] }
  return {
    qemu: ['-accel', 'tcg,thread=multi', '-cpu', emulatedCpu.model],
    kernel: emulatedCpu.kernelArguments(chosen.counterKhz),
  }
}
