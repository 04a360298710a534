import { createHash } from 'node:crypto'
import type { Architecture } from '../arch/index.ts'
import { type Accelerator, qemuArguments } from '../qemu/index.ts'

/** All that a saved guest depends on. */
export interface TemplateInputs {
  /** The engine's id of the image: it stands for QEMU, kernel, rootfs and our own files, and so for their versions. */
  readonly imageId: string
  readonly arch: Architecture
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
/** The counter's rate is measured anew in each boot of the machine, and never twice the same to the kHz. */
const COUNTER_STEP_KHZ = 10_000

/** The name of the template that fits: equal inputs have one, and nothing else has it. 32 hexadecimal digits. */
export function templateKey(inputs: TemplateInputs): string {
  const { imageId, arch, scratchMib, preloaded, hostCpu, accelerator } = inputs
  const machine = savedMachine(inputs)
  const cpu = accelerator.kind === 'kvm' && hostCpu
  const text = JSON.stringify([FORMAT, imageId, arch.name, scratchMib, preloaded, machine, cpu])
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

/** The command line with names in place of paths: QEMU restores a guest only into the machine that it was saved on. */
function savedMachine({ arch, memoryMib, cpus, cgroup, accelerator }: TemplateInputs): string[] {
  return qemuArguments({
    arch,
    memoryMib,
    cpus,
    cgroup,
    accelerator:
      accelerator.kind === 'kvm'
        ? accelerator
        : { kind: 'tcg', counterKhz: Math.round(Number(accelerator.counterKhz) / COUNTER_STEP_KHZ) * COUNTER_STEP_KHZ },
    controlSocket: 'control',
    monitorSocket: 'monitor',
    memory: { kind: 'file', file: 'memory', mapping: 'shared' },
    scratch: { file: 'scratch', access: 'read-write' },
  })
}
