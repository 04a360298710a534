import { imageLabels, type LeaseMount, type VolumeMount } from '../engine/index.ts'
import { imagePaths, type Machine } from '../qemu/index.ts'

/** Where a saved VM is: a directory of an engine's volume. */
export interface TemplateLocation {
  readonly volume: string
  /** Of the volume, where this is what makes it. @default those of a cache */
  readonly labels?: Readonly<Record<string, string>>
  readonly directory: string
}

/** What a container is started with to save into a template or to restore one: see images/runner/supervise. */
export interface TemplateUse {
  readonly environment: Readonly<Record<string, string>>
  readonly mounts: readonly LeaseMount[]
  readonly machine: Pick<Machine, 'memory' | 'scratch' | 'start'>
  /** Path in the container of the file with the devices' state. */
  readonly stateFile: string
}

/** A VM that is a clone: neither its RAM nor its disk changes the template. */
export function restoreFrom({ volume, labels, directory }: TemplateLocation): TemplateUse {
  const files = filesIn(directory)
  return {
    environment: { TESTKERNELS_RESTORE: directory },
    mounts: [mountOf(volume, labels)],
    machine: {
      memory: { kind: 'file', file: files.memory, mapping: 'copy-on-write' },
      scratch: { file: files.scratch, access: 'copy-on-write' },
      start: 'stopped',
    },
    stateFile: files.state,
  }
}

/** One that takes over the state of a running VM, to become a template of it. */
export function saveCopyInto(location: TemplateLocation, attempt: string): TemplateUse {
  const use = saveInto(location, attempt)
  return { ...use, machine: { ...use.machine, start: 'stopped' } }
}

/**
 * A VM that is to become a template: RAM and disk are files beside it, which get its name when QEMU ends with a state saved.
 * @param attempt tells apart those that make the same
 */
export function saveInto({ volume, labels, directory }: TemplateLocation, attempt: string): TemplateUse {
  const beside = `.${directory}.${attempt}`
  const files = filesIn(beside)
  return {
    environment: { TESTKERNELS_SAVE: directory, TESTKERNELS_SAVE_IN: beside },
    mounts: [mountOf(volume, labels)],
    machine: {
      memory: { kind: 'file', file: files.memory, mapping: 'shared' },
      scratch: { file: files.scratch, access: 'read-write' },
      start: 'boot',
    },
    stateFile: files.state,
  }
}

/** Read-write for a clone as well: its container notes the use, and that the checksums were right. */
export function mountOf(volume: string, labels = imageLabels('templates')): VolumeMount {
  return { kind: 'volume', volume, labels, target: imagePaths.templates, access: 'read-write' }
}

function filesIn(directory: string) {
  const path = `${imagePaths.templates}/${directory}`
  return { memory: `${path}/mem.img`, state: `${path}/state.bin`, scratch: `${path}/scratch.img` }
}
