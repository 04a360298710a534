import { type KernelEntry, kernelWords } from '../options/index.ts'
import { imagePaths, type Machine } from '../qemu/index.ts'
import { type GuestSettings, settingsWords } from './guest-settings.ts'

/** Names of the sockets in the run directory that the container makes: two of QEMU's, and two of the door. The last is the longest. */
export const CONTROL_SOCKET = 'control.sock'
export const MONITOR_SOCKET = 'monitor.sock'
export const DOOR_SOCKET = 'door.sock'
export const HOST_PORTS_SOCKET = 'host-ports.sock'

/** What of a machine is settled by more than its entry. */
type MachineChoice = Required<Pick<Machine, 'arch' | 'transport' | 'accelerator' | 'ipv6' | 'preload'>> & {
  readonly settings: GuestSettings | undefined
}

/**
 * The machine of a plan, which is made once: the template's key digests it, and the box runs it. An option that only one of the two
 * knew would restore a guest into another machine than it was saved on.
 */
export function machineOf(
  { memoryMib, cpus, cgroup, network, ...kernel }: KernelEntry,
  { arch, transport, accelerator, ipv6, preload, settings }: MachineChoice,
): Machine {
  return {
    arch,
    transport,
    accelerator,
    memoryMib,
    cpus,
    cgroup,
    kernelArguments: [...kernelWords(kernel), ...settingsWords(settings)],
    ipv6,
    preload,
    vmNetwork: network === 'none' ? 'none' : 'device',
    controlSocket: `${imagePaths.runDirectory}/${CONTROL_SOCKET}`,
    monitorSocket: `${imagePaths.runDirectory}/${MONITOR_SOCKET}`,
  }
}
