import { createHash } from 'node:crypto'
import type { Accelerator } from '../qemu/index.ts'

/** All that a saved guest depends on. */
export interface TemplateInputs {
  /** The engine's id of the image: it stands for QEMU, kernel, rootfs and our own files, and so for their versions. */
  readonly imageId: string
  readonly memoryMib: number
  readonly cpus: number
  readonly scratchMib: number
  readonly cgroup: 1 | 2
  readonly accelerator: Accelerator
  /** Model and flags of the engine's CPU, which a guest under KVM has too; empty where they cannot be known. */
  readonly hostCpu: string
  /** What is loaded into the guest's dockerd before it is saved, by content. */
  readonly preloaded: readonly string[]
}

/** Another layout of files, or another way to save, is another template. */
const FORMAT = 2
/** The TSC's rate is measured anew in each boot of the machine, and never twice the same to the kHz. */
const TSC_STEP_KHZ = 10_000

/** The name of the template that fits: equal inputs have one, and nothing else has it. 32 hexadecimal digits. */
export function templateKey({ accelerator, hostCpu, ...inputs }: TemplateInputs): string {
  const runsOn =
    accelerator.kind === 'kvm'
      ? { kind: 'kvm', hostCpu }
      : { kind: 'tcg', tscKhz: Math.round(Number(accelerator.tscKhz) / TSC_STEP_KHZ) }
  const text = JSON.stringify([FORMAT, Object.entries(inputs).sort(([a], [b]) => (a < b ? -1 : 1)), runsOn])
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}
