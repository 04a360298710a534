import type { Device } from './device.ts'

export interface DiskOptions {
  readonly id: string
  readonly file: string
  /** `copy-on-write`: the guest may write, and the file stays as it is; what was written goes with QEMU. */
  readonly access: DiskAccess
}

export type DiskAccess = 'read-only' | 'read-write' | 'copy-on-write'

/** A raw virtio-blk disk. The guest sees them as vda, vdb, ... in the order in which they are given to QEMU. */
export function disk({ id, file, access }: DiskOptions): Device {
  // The disk goes with its VM: nothing is gained by waiting until the host's disk has it.
  const writable = 'cache=unsafe,discard=unmap,detect-zeroes=unmap'
  const how = { 'read-only': 'readonly=on', 'read-write': writable, 'copy-on-write': `${writable},snapshot=on` }[access]
  const drive = `if=none,id=${id},file=${file},format=raw,${how}`
  return { qemu: ['-drive', drive, '-device', `virtio-blk-device,drive=${id}`] }
}

/** Stands where a read-only disk was, for a guest that let go of it: all zeros, and no file of this machine. */
export function emptyDisk({ id }: Pick<DiskOptions, 'id'>): Device {
  const drive = `if=none,id=${id},driver=null-co,size=1M,read-zeroes=on,readonly=on`
  return { qemu: ['-drive', drive, '-device', `virtio-blk-device,drive=${id}`] }
}
