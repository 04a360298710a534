import type { Device } from './device.ts'

/** What a guest's RAM is made of. */
export type Memory =
  | { readonly kind: 'anonymous' }
  /** A file of this size; `shared`: the guest's writes are in it; `copy-on-write`: they are this guest's own. */
  | { readonly kind: 'file'; readonly file: string; readonly mapping: 'shared' | 'copy-on-write' }

/** Id of the memory's object, which the machine refers to. */
export const MEMORY_ID = 'mem'

export function memory({ memoryMib, memory: from }: { readonly memoryMib: number; readonly memory: Memory }): Device {
  const size = ['-m', String(memoryMib)]
  if (from.kind === 'anonymous') return { qemu: size }
  // A template's file is opened for reading alone: whatever a clone does, it cannot damage it. `rom` is about the guest.
  const mapping = from.mapping === 'shared' ? 'share=on' : 'share=off,readonly=on,rom=off'
  const object = `memory-backend-file,id=${MEMORY_ID},size=${memoryMib}M,mem-path=${from.file},${mapping}`
  return { qemu: [...size, '-object', object] }
}
