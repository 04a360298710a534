import { guestLink } from '../guest-link.ts'
import type { Device } from './device.ts'

/** virtio-net on the tap device that the entrypoint made and gave to QEMU's user. */
export function network(): Device {
  return {
    qemu: [
      '-netdev',
      'tap,id=net,ifname=tap0,script=no,downscript=no',
      '-device',
      `virtio-net-device,netdev=net,mac=${guestLink.macAddress}`,
    ],
  }
}
