import { guestLink } from '../guest-link.ts'
import type { Device } from './device.ts'

/**
 * virtio-net on the tap device that the entrypoint made and gave to QEMU's user. A restored guest need not announce itself: its
 * one neighbour is new. It would five times in its first second, over every protocol it has.
 */
export function network(): Device {
  return {
    qemu: [
      '-netdev',
      'tap,id=net,ifname=tap0,script=no,downscript=no',
      '-device',
      `virtio-net-device,netdev=net,mac=${guestLink.macAddress},guest_announce=off`,
    ],
  }
}
