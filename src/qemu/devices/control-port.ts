import type { Device } from './device.ts'

/** The name that images/guest/agent/control.c looks for. */
const PORT_NAME = 'testkernels.control'

/**
 * A virtio-serial port, a unix socket on the host's side. Apart from the console, because a reader that stalls on one must
 * not stall the other; apart from SSH, because it carries SSH's keys.
 */
export function controlPort({ socketPath }: { readonly socketPath: string }): Device {
  return {
    qemu: [
      '-device',
      'virtio-serial-device,max_ports=2',
      '-chardev',
      `socket,id=control,path=${socketPath},server=on,wait=off`,
      '-device',
      `virtserialport,chardev=control,name=${PORT_NAME}`,
    ],
  }
}
