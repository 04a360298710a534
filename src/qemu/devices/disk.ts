import type { Device } from './device.ts'

export interface DiskOptions {
  readonly id: string
  readonly file: string
  readonly access: 'read-only' | 'read-write'
}

/** A raw virtio-blk disk. The guest sees them as vda, vdb, ... in the order in which they are given to QEMU. */
export function disk({ id, file, access }: DiskOptions): Device {
  const drive =
    access === 'read-only'
      ? `if=none,id=${id},file=${file},format=raw,readonly=on`
      : // The disk goes with its VM: nothing is gained by waiting until the host's disk has it.
        `if=none,id=${id},file=${file},format=raw,cache=unsafe,discard=unmap,detect-zeroes=unmap`
  return { qemu: ['-drive', drive, '-device', `virtio-blk-device,drive=${id}`] }
}
