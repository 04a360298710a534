import { createHash } from 'node:crypto'
import type { Mount, VolumeMount, VolumeName } from '../host/index.ts'
import { type Accelerator, imagePaths, type Machine, qemuArguments } from '../qemu/index.ts'

/** Where a saved VM is: a directory of a host's volume. */
export interface TemplateLocation extends VolumeName {
  readonly directory: string
}

/** What a box is started with to save into a template or to restore one: see images/runner/entrypoint and supervise. */
export interface TemplateUse {
  readonly environment: Readonly<Record<string, string>>
  readonly mounts: readonly Mount[]
  readonly machine: Pick<Machine, 'memory' | 'scratch' | 'start'>
  /** Path in the box of the file with the devices' state. */
  readonly stateFile: string
}

/** A VM that is a clone: neither its RAM nor its disk changes the template, and its box could not. */
export function restoreFrom(location: TemplateLocation): TemplateUse {
  const { directory, keptFor } = location
  const files = filesIn(`${imagePaths.templates}/${directory}`)
  // A checkpoint is its run's alone: nobody notes when it was used, and what a power cut leaves of it nobody restores.
  const isShared = keptFor === 'cache'
  return {
    environment: { TESTKERNELS_RESTORE: '1', ...(isShared && { TESTKERNELS_CHECK: directory }) },
    mounts: isShared ? sharedMounts(location) : [checkpointMount(location)],
    machine: {
      memory: { kind: 'file', file: files.memory, mapping: 'copy-on-write' },
      scratch: { file: files.scratch, access: 'copy-on-write' },
      start: 'stopped',
    },
    stateFile: files.state,
  }
}

/** What becomes of a template of that name which looks whole. */
export type Former = 'kept' | 'replaced'

/**
 * A VM that is to become a template: its RAM and disk are files of a volume of its own, which `sealTemplate` takes them from when QEMU has
 * ended with a state saved.
 */
export function saveInto(location: TemplateLocation, making: VolumeName, former: Former = 'kept'): TemplateUse {
  return {
    environment: {
      TESTKERNELS_MAKE: location.directory,
      TESTKERNELS_SAVE: '1',
      ...(former === 'replaced' && { TESTKERNELS_MAKE_ANEW: '1' }),
    },
    mounts: [...sharedMounts(location), makingMount(making, 'read-write')],
    ...saving('boot'),
  }
}

/** One that takes over the state of a running VM, to become a checkpoint of it. */
export function saveCopyInto(checkpoint: TemplateLocation): TemplateUse {
  return {
    environment: { TESTKERNELS_SAVE: '1' },
    mounts: [makingMount(checkpoint, 'read-write')],
    ...saving('stopped'),
  }
}

function saving(start: 'boot' | 'stopped'): Pick<TemplateUse, 'machine' | 'stateFile'> {
  const files = filesIn(imagePaths.making)
  return {
    machine: {
      memory: { kind: 'file', file: files.memory, mapping: 'shared' },
      scratch: { file: files.scratch, access: 'read-write' },
      start,
    },
    stateFile: files.state,
  }
}

/** Who can write a template owns the next run that restores it: no box with a guest in it has them for writing. */
function sharedMounts(location: VolumeName): readonly VolumeMount[] {
  return [templatesMount(location, 'read-only'), marksMount(location)]
}

export function templatesMount({ volume, keptFor }: VolumeName, access: VolumeMount['access']): VolumeMount {
  return { kind: 'volume', volume, keptFor, target: imagePaths.templates, access }
}

/** Beside the templates: what is noted of them at each start. */
export function marksMount({ volume, keptFor }: VolumeName): VolumeMount {
  return { kind: 'volume', volume: `${volume}-marks`, keptFor, target: imagePaths.marks, access: 'read-write' }
}

export function makingMount({ volume, keptFor }: VolumeName, access: VolumeMount['access']): VolumeMount {
  return { kind: 'volume', volume, keptFor, target: imagePaths.making, access }
}

function checkpointMount({ volume, keptFor, directory }: TemplateLocation): VolumeMount {
  return { kind: 'volume', volume, keptFor, target: `${imagePaths.templates}/${directory}`, access: 'read-only' }
}

function filesIn(path: string) {
  return { memory: `${path}/mem.img`, state: `${path}/state.bin`, scratch: `${path}/scratch.img` }
}

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
