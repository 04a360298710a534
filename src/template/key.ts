import { createHash } from 'node:crypto'
import { type Accelerator, type Machine, qemuArguments } from '../qemu/index.ts'
import { saveInto } from './location.ts'

/** All that a saved guest depends on. */
export interface TemplateInputs {
  /** The engine's id of the image: it stands for QEMU, kernel, rootfs and our own files, and so for their versions. */
  readonly imageId: string
  readonly machine: Machine
  readonly scratchMib: number
  /** The engine's kernel, and the model and flags of its CPU where they can be known: what a guest under KVM sees. */
  readonly hostCpu: string
  /** What is loaded into the guest's dockerd before it is saved, by content. */
  readonly preloaded: readonly string[]
}

/** Another layout of files, or another way to save, is another template. */
const FORMAT = 3
/** The counter's rate is measured anew in each boot of the machine, and never twice the same to the kHz. */
const COUNTER_STEP_KHZ = 10_000
/** Where it is kept is no part of it. */
const UNNAMED = { volume: '', keptFor: 'cache', directory: '' } as const

/** The name of the template that fits: equal inputs have one, and nothing else has it. 32 hexadecimal digits. */
export function templateKey({ imageId, machine, scratchMib, preloaded, hostCpu }: TemplateInputs): string {
  const accelerator = roughly(machine.accelerator)
  // QEMU restores a guest only into the machine that it was saved on.
  const saved = qemuArguments({ ...machine, accelerator, ...saveInto(UNNAMED, UNNAMED).machine })
  const cpu = accelerator.kind === 'kvm' && hostCpu
  const text = JSON.stringify([FORMAT, imageId, machine.arch.name, scratchMib, preloaded, saved, cpu])
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

function roughly(accelerator: Accelerator): Accelerator {
  if (accelerator.kind === 'kvm') return accelerator
  return {
    ...accelerator,
    counterKhz: Math.round(Number(accelerator.counterKhz) / COUNTER_STEP_KHZ) * COUNTER_STEP_KHZ,
  }
}
