import type { Architecture, Transport } from '../arch/index.ts'
import {
  type Accelerator,
  accelerator,
  controlPort,
  type Device,
  type DiskAccess,
  disk,
  emptyDisk,
  entropy,
  MEASURED_AT_START,
  MEMORY_ID,
  type Memory,
  memory,
  monitor,
  network,
  serialConsole,
  vmNetwork,
} from './devices.ts'

/** Where things are in the image that a VM runs from. */
export const imagePaths = {
  entrypoint: '/testkernels/entrypoint',
  probe: '/testkernels/probe',
  /** A link: a machine's architecture has its own program. */
  qemu: '/testkernels/qemu-system',
  vmlinuz: '/testkernels/vmlinuz',
  initrd: '/testkernels/initrd',
  rootfs: '/testkernels/rootfs.img',
  /** Of a kernel that has some: vmlinux, and modules/NAME.ko. */
  debugInfo: '/testkernels/debug',
  /** Reads that. */
  locate: '/testkernels/locate',
  kernelFiles: '/testkernels/kernel.img',
  /** What only this container needs is here; a volume of its own. */
  scratchDirectory: '/var/lib/testkernels/scratch',
  /** Made by `supervise` at the start. */
  scratch: '/var/lib/testkernels/scratch/scratch.img',
  /** Carries its standard input and output to and from a unix socket. */
  dial: '/testkernels/dial',
  /** Made by `supervise` at the start, where images are to be loaded into the guest. */
  preload: '/var/lib/testkernels/scratch/preload.img',
  /** Checks, lists and removes templates. */
  template: '/testkernels/template',
  /** A volume with templates is mounted here, or one with a checkpoint in a directory of its own. */
  templates: '/var/lib/testkernels/templates',
  /** What is noted of templates: locks, last uses. Its volume is written by root before a guest runs. */
  marks: '/var/lib/testkernels/marks',
  /** What a VM saves into, before it is a template. */
  making: '/var/lib/testkernels/making',
  /** The VM's run directory of the host is mounted here; QEMU's sockets are in it. */
  runDirectory: '/run/testkernels',
} as const

/** Who has taken QEMU over from inside still may not gain rights, start programs, or slow others down. As libvirt has it. */
const SANDBOX = 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'

/** What a VM is made of. The same machine gives the same command line. */
export interface Machine {
  readonly arch: Architecture
  /** The one that the image's kernel has drivers for. */
  readonly transport: Transport
  /** `old`: the one for kernels that do not come up on the others; its transport is PCI. @default 'current' */
  readonly generation?: 'old' | 'current'
  readonly accelerator: Accelerator
  readonly memoryMib: number
  readonly cpus: number
  readonly cgroup: 1 | 2
  /** What the kernel is told after what every guest's is, as it stands on its command line. @default nothing */
  readonly kernelArguments?: readonly string[]
  /** Path of the control port's socket in the container; without one nobody talks to the guest. */
  readonly controlSocket?: string
  /** Path of the socket of QEMU's monitor in the container. */
  readonly monitorSocket?: string
  /** @default anonymous */
  readonly memory?: Memory
  /** @default the one that `supervise` makes */
  readonly scratch?: { readonly file: string; readonly access: DiskAccess }
  /** `disk`: a fourth one with images for the guest's dockerd, which is empty in a clone. @default 'none' */
  readonly preload?: 'disk' | 'none'
  /** `routed`: its link to the container has IPv6 as well as IPv4. @default 'none' */
  readonly ipv6?: 'routed' | 'none'
  /** `device`: it has one for a network of VMs, whether it is on one or not. @default 'none' */
  readonly vmNetwork?: 'device' | 'none'
  /** `stopped`: QEMU waits for a state to be loaded. A saved guest fits only the machine it was saved on. @default 'boot' */
  readonly start?: 'boot' | 'stopped'
}

/** QEMU's arguments for a machine that runs the image's kernel and rootfs. Pure. */
export function qemuArguments(machine: Machine): string[] {
  const { transport } = machine
  const devices: Device[] = [
    serialConsole(machine.arch),
    // The guest knows this order: vda, vdb, vdc (images/guest/init), vdd (images/guest/agent/load.c).
    disk({ id: 'rootfs', file: imagePaths.rootfs, access: 'read-only', transport }),
    disk({ id: 'kernel', file: imagePaths.kernelFiles, access: 'read-only', transport }),
    disk({ id: 'scratch', ...(machine.scratch ?? { file: imagePaths.scratch, access: 'read-write' }), transport }),
    ...(machine.preload === 'disk' ? [preloadDisk(machine)] : []),
    network({ transport, ipv6: machine.ipv6 ?? 'none' }),
    ...(machine.vmNetwork === 'device' ? [vmNetwork({ transport })] : []),
    entropy({ transport }),
    ...(machine.controlSocket === undefined ? [] : [controlPort({ socketPath: machine.controlSocket, transport })]),
    ...(machine.monitorSocket === undefined ? [] : [monitor({ socketPath: machine.monitorSocket })]),
  ]
  // What it once booted is in its memory: QEMU would take 20 ms to read it again.
  if (machine.start === 'stopped') return [...hardware(machine, devices), '-incoming', 'defer']
  const { cgroup, kernelArguments = [] } = machine
  return boot(machine, devices, [`testkernels.cgroup=${cgroup}`, ...cgroupArguments(cgroup), ...kernelArguments])
}

/** What is saved has loaded it, and let go of the disk: a clone has the same device, and nothing on it. */
function preloadDisk({ start, transport }: Machine): Device {
  const id = 'preload'
  if (start === 'stopped') return emptyDisk({ id, transport })
  return disk({ id, file: imagePaths.preload, access: 'read-only', transport })
}

/** What `docker run IMAGE` starts when nobody says what: emulation, which runs everywhere, and nobody to talk to the guest. */
export function standaloneArguments(machine: Pick<Machine, 'arch' | 'transport' | 'generation'>): string[] {
  const emulated = { kind: 'tcg', counterKhz: MEASURED_AT_START } as const
  return qemuArguments({ ...machine, accelerator: emulated, memoryMib: 2048, cpus: 2, cgroup: 2 })
}

/** Debian's kernels leave these two of v1 off unless asked; on v2 they are always there. */
const CGROUP_V1 = ['cgroup_enable=memory', 'swapaccount=1']

/** What systemd wants to hear where it is PID 1, up to 255 and after; 258 has no cgroup v1. The kernel passes over them. */
const CGROUP_V1_OF_SYSTEMD = [
  'systemd.unified_cgroup_hierarchy=0',
  'systemd.legacy_systemd_cgroup_controller=1',
  'SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1',
]

function cgroupArguments(version: 1 | 2): string[] {
  return version === 1 ? [...CGROUP_V1, ...CGROUP_V1_OF_SYSTEMD] : []
}

/** QEMU's arguments for a guest that says on the console that it reached user space, and ends. It has no device to reach. Pure. */
export function probeArguments(arch: Architecture, chosen: Accelerator): string[] {
  return boot(
    { arch, transport: 'mmio', accelerator: chosen, memoryMib: 256, cpus: 1 },
    [serialConsole(arch)],
    ['testkernels.probe'],
  )
}

type Hardware = Pick<Machine, 'arch' | 'transport' | 'generation' | 'accelerator' | 'memoryMib' | 'cpus' | 'memory'>

function boot(machine: Hardware, devices: readonly Device[], kernelArguments: readonly string[]): string[] {
  const cmdline = [
    ...[accelerator(machine.accelerator, machine.arch), ...devices].flatMap(({ kernel }) => kernel ?? []),
    // A panic ends QEMU at once, by a reset that -no-reboot turns into an exit.
    'panic=-1',
    // A log that is written faster than it is read waits there for a second: a report in it must not be written over.
    'log_buf_len=2M',
    ...machine.arch.qemu.kernelArguments,
    ...kernelArguments,
  ]
  const kernel = ['-kernel', imagePaths.vmlinuz, '-initrd', imagePaths.initrd, '-append', cmdline.join(' ')]
  return [...hardware(machine, devices), ...kernel]
}

function hardware(
  { arch, transport, generation, accelerator: chosen, memoryMib, cpus, memory: from = { kind: 'anonymous' } }: Hardware,
  devices: readonly Device[],
): string[] {
  const { machine, firmware } = generation === 'old' ? arch.qemu.oldMachine : arch.qemu.machines[transport]
  return [
    ...['-M', `${machine}${from.kind === 'file' ? `,memory-backend=${MEMORY_ID}` : ''}`],
    ...(firmware === undefined ? [] : ['-bios', firmware]),
    ...['-smp', String(cpus)],
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-sandbox', SANDBOX],
    ...[accelerator(chosen, arch), memory({ memoryMib, memory: from }), ...devices].flatMap(({ qemu }) => qemu),
  ]
}
