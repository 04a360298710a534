import type { Device } from './device.ts'

/** virtio-rng fed by the host, so that keys made early in the guest do not wait for entropy. */
export function entropy(): Device {
  return { qemu: ['-object', 'rng-random,id=rng,filename=/dev/urandom', '-device', 'virtio-rng-device,rng=rng'] }
}
