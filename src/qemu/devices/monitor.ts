import type { Device } from './device.ts'

/** QEMU's machine protocol on a unix socket: what stops, saves and restores the guest. The guest sees nothing of it. */
export function monitor({ socketPath }: { readonly socketPath: string }): Device {
  return { qemu: ['-qmp', `unix:${socketPath},server=on,wait=off`] }
}
