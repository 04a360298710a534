import type { Mount, VolumeMount, VolumeName } from '../host/index.ts'
import { imagePaths, type Machine } from '../qemu/index.ts'

/** Where a saved VM is: a directory of a host's volume. */
export interface TemplateLocation extends VolumeName {
  readonly directory: string
}

/** What a container is started with to save into a template or to restore one: see images/runner/supervise. */
export interface TemplateUse {
  readonly environment: Readonly<Record<string, string>>
  readonly mounts: readonly Mount[]
  readonly machine: Pick<Machine, 'memory' | 'scratch' | 'start'>
  /** Path in the container of the file with the devices' state. */
  readonly stateFile: string
}

/** A VM that is a clone: neither its RAM nor its disk changes the template. */
export function restoreFrom({ directory, ...volume }: TemplateLocation): TemplateUse {
  const files = filesIn(directory)
  return {
    environment: { TESTKERNELS_RESTORE: directory },
    mounts: [mountOf(volume)],
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

/** What becomes of a template of that name which looks whole. */
export type Former = 'kept' | 'replaced'

/**
 * A VM that is to become a template: RAM and disk are files beside it, which get its name when QEMU ends with a state saved.
 * @param attempt tells apart those that make the same
 */
export function saveInto(
  { directory, ...volume }: TemplateLocation,
  attempt: string,
  former: Former = 'kept',
): TemplateUse {
  const beside = `.${directory}.${attempt}`
  const files = filesIn(beside)
  return {
    environment: {
      TESTKERNELS_SAVE: directory,
      TESTKERNELS_SAVE_IN: beside,
      ...(former === 'replaced' && { TESTKERNELS_SAVE_ANEW: '1' }),
    },
    mounts: [mountOf(volume)],
    machine: {
      memory: { kind: 'file', file: files.memory, mapping: 'shared' },
      scratch: { file: files.scratch, access: 'read-write' },
      start: 'boot',
    },
    stateFile: files.state,
  }
}

/** Read-write for a clone as well: its container notes the use, and that the checksums were right. */
export function mountOf({ volume, keptFor }: VolumeName): VolumeMount {
  return { kind: 'volume', volume, keptFor, target: imagePaths.templates }
}

function filesIn(directory: string) {
  const path = `${imagePaths.templates}/${directory}`
  return { memory: `${path}/mem.img`, state: `${path}/state.bin`, scratch: `${path}/scratch.img` }
}
