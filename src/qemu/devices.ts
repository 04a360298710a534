import type { Architecture, Transport } from '../arch/index.ts'

/**
 * The point-to-point link between the container (tap0) and the guest (eth0): fixed addresses from TEST-NET-1 (RFC 5737), which
 * no real network uses, so that a restored guest finds its network as it left it. images/guest/init, images/guest/agent and
 * images/runner hold the same addresses.
 */
export const guestLink = {
  hostAddress: '192.0.2.1',
  guestAddress: '192.0.2.2',
  /** Leads to the machine of the container, as the engine's other containers reach it. */
  gatewayAddress: '192.0.2.9',
  /** Where the container has the ports of the owner's machine that its guest may reach: `host.testkernels.internal`. */
  ownerAddress: '192.0.2.10',
  /**
   * The guest's SSH server listens here on its loopback device, and its door here on the link. High and unusual, because every other
   * port belongs to what tests publish in the guest; these two lead nowhere at the container's address.
   */
  sshPort: 61022,
  doorPort: 61023,
  /** Of the guest's loopback device: where its agent passes on to a proxy that asks for a password (images/guest/agent/proxy.c). */
  relayPort: 61024,
  macAddress: '52:54:00:74:6b:01',
  /**
   * Of a unique local range (RFC 4193), and not of one that is globally reachable: with these a guest prefers the addresses of IPv4 that a name
   * has as well (RFC 6724), because that it has IPv6 does not say that its engine's way out does.
   */
  ipv6: { hostAddress: 'fd5c:1a77:9e30::1', guestAddress: 'fd5c:1a77:9e30::2' },
} as const

/** QEMU's name for the device of a network of VMs. */
export const VM_NETWORK_ID = 'vms'

/** Its address on the wire, until a guest that is on one is told the address that it has there. */
const SPARE_MAC_ADDRESS = '52:54:00:74:6b:02'

/** What one device adds to QEMU's command line and to the kernel's. */
export interface Device {
  readonly qemu: readonly string[]
  readonly kernel?: readonly string[]
}

export type Accelerator =
  | { readonly kind: 'kvm' }
  | {
      readonly kind: 'tcg'
      /** Rate of the counter that the guest's clock runs by, in kHz; or what the entrypoint measures at the start. */
      readonly counterKhz: number | typeof MEASURED_AT_START
    }

/** The entrypoint puts the measured rate in its place. */
export const MEASURED_AT_START = '@counter_khz@'

/** CPU and accelerator. */
export function accelerator(chosen: Accelerator, { emulatedCpu }: Architecture): Device {
  if (chosen.kind === 'kvm') return { qemu: ['-accel', 'kvm', '-cpu', 'host'] }
  return {
    qemu: ['-accel', 'tcg,thread=multi', '-cpu', emulatedCpu.model],
    kernel: emulatedCpu.kernelArguments(chosen.counterKhz),
  }
}

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

/** What QEMU calls a device of virtio, by what the guest reaches it through; PCI as the specification has it since 1.0 alone. */
function virtio(device: string, transport: Transport): string {
  return transport === 'mmio' ? `virtio-${device}-device` : `virtio-${device}-pci,disable-legacy=on`
}

/** Of each device that the guest has a virtio driver for. */
export interface VirtioOptions {
  readonly transport: Transport
}

export interface DiskOptions extends VirtioOptions {
  readonly id: string
  readonly file: string
  /** `copy-on-write`: the guest may write, and the file stays as it is; what was written goes with QEMU. */
  readonly access: DiskAccess
}

export type DiskAccess = 'read-only' | 'read-write' | 'copy-on-write'

/** A raw virtio-blk disk. The guest sees them as vda, vdb, ... in the order in which they are given to QEMU. */
export function disk({ id, file, access, transport }: DiskOptions): Device {
  // The disk goes with its VM: nothing is gained by waiting until the host's disk has it.
  const writable = 'cache=unsafe,discard=unmap,detect-zeroes=unmap'
  const how = { 'read-only': 'readonly=on', 'read-write': writable, 'copy-on-write': `${writable},snapshot=on` }[access]
  const drive = `if=none,id=${id},file=${file},format=raw,${how}`
  return { qemu: ['-drive', drive, '-device', `${virtio('blk', transport)},drive=${id}`] }
}

/** Stands where a read-only disk was, for a guest that let go of it: all zeros, and no file of this machine. */
export function emptyDisk({ id, transport }: Pick<DiskOptions, 'id' | 'transport'>): Device {
  const drive = `if=none,id=${id},driver=null-co,size=1M,read-zeroes=on,readonly=on`
  return { qemu: ['-drive', drive, '-device', `${virtio('blk', transport)},drive=${id}`] }
}

/**
 * virtio-net on the tap device that the entrypoint made and gave to QEMU's user. A restored guest need not announce itself: its
 * one neighbour is new. It would five times in its first second, over every protocol it has. On PCI it would have a ROM to boot from.
 */
export function network({ transport, ipv6 }: VirtioOptions & { readonly ipv6: 'routed' | 'none' }): Device {
  const device = tapDevice('net', { transport, tap: 'tap0', macAddress: guestLink.macAddress })
  return ipv6 === 'none' ? device : { ...device, kernel: ['testkernels.ipv6'] }
}

/**
 * The same, for a network of VMs: the entrypoint joins its tap device with the box's interface there, where it has one, and the guest takes the
 * addresses that the engine gave the box.
 */
export function vmNetwork({ transport }: VirtioOptions): Device {
  return tapDevice(VM_NETWORK_ID, { transport, tap: 'tap1', macAddress: SPARE_MAC_ADDRESS })
}

interface TapOptions extends VirtioOptions {
  readonly tap: string
  readonly macAddress: string
}

function tapDevice(id: string, { transport, tap, macAddress }: TapOptions): Device {
  const rom = transport === 'pci' ? ',romfile=' : ''
  return {
    qemu: [
      '-netdev',
      `tap,id=${id},ifname=${tap},script=no,downscript=no`,
      '-device',
      `${virtio('net', transport)},netdev=${id},mac=${macAddress},guest_announce=off${rom}`,
    ],
  }
}

/** The name that images/guest/agent/control.c looks for. */
const PORT_NAME = 'testkernels.control'

/**
 * A virtio-serial port, a unix socket on the host's side. Apart from the console, because a reader that stalls on one must
 * not stall the other; apart from SSH, because it carries SSH's keys.
 */
export function controlPort({ socketPath, transport }: VirtioOptions & { readonly socketPath: string }): Device {
  return {
    qemu: [
      '-device',
      `${virtio('serial', transport)},max_ports=2`,
      '-chardev',
      `socket,id=control,path=${socketPath},server=on,wait=off`,
      '-device',
      `virtserialport,chardev=control,name=${PORT_NAME}`,
    ],
  }
}

/** QEMU's machine protocol on a unix socket: what stops, saves and restores the guest. The guest sees nothing of it. */
export function monitor({ socketPath }: { readonly socketPath: string }): Device {
  return { qemu: ['-qmp', `unix:${socketPath},server=on,wait=off`] }
}

/**
 * The first serial port, on QEMU's standard output: the container's log is the guest's console. The kernel writes its
 * panics here, so the host can quote them.
 */
export function serialConsole({ qemu }: Architecture): Device {
  return {
    qemu: ['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    kernel: [`console=${qemu.console}`],
  }
}

/** virtio-rng fed by the host, so that keys made early in the guest do not wait for entropy. */
export function entropy({ transport }: VirtioOptions): Device {
  const rng = `${virtio('rng', transport)},rng=rng`
  return { qemu: ['-object', 'rng-random,id=rng,filename=/dev/urandom', '-device', rng] }
}
