import type { Box } from '../../host/index.ts'
import type { Deadline } from '../../lifetime/index.ts'
import { imagePaths, qemuArguments } from '../../qemu/index.ts'
import type { TemplateUse } from '../../template/index.ts'
import type { Attempt } from './attempt.ts'

export interface BoxUse {
  /** The template that the VM comes from or becomes, if any. */
  readonly use?: TemplateUse | undefined
  /** Calls it off. */
  readonly signal: AbortSignal
  /** Of the boot: its clock stands still while images are copied. */
  readonly deadline?: Pick<Deadline, 'pause'> | undefined
}

/** Threads of QEMU for CPUs and disks (it has 64 for those at most), and what starts it. */
const MAX_PROCESSES = 256
/**
 * What QEMU has beside the guest's RAM: under emulation up to 1 GiB of translated code (its manual, `tb-size`), else little. Who has taken
 * it over may not take the machine's memory.
 */
const QEMU_MEMORY_MIB = 1_536

/**
 * Starts QEMU in a box of the entry's image. Not privileged: the entrypoint makes the network with NET_ADMIN (tap device,
 * addresses, rules), becomes QEMU's user with SETUID and SETGID, and drops all four with SETPCAP before QEMU starts.
 */
export function runVmBox({ plan, start, runDirectory }: Attempt, { use, signal }: BoxUse): Promise<Box> {
  const { session, entry, image, machine } = plan
  const { path: directory, owner } = runDirectory
  return session.host.run(
    {
      image,
      entry: entry.name,
      command: qemuArguments({ ...machine, ...use?.machine }),
      environment: {
        TESTKERNELS_UID: String(owner.uid),
        TESTKERNELS_GID: String(owner.gid),
        TESTKERNELS_SCRATCH_MIB: String(entry.scratchMib),
        TESTKERNELS_RUN_DIR: imagePaths.runDirectory,
        TESTKERNELS_LEASE: '1',
        ...(machine.preload === 'disk' &&
          use?.machine.start !== 'stopped' && { TESTKERNELS_PRELOAD: imagePaths.preload }),
        ...use?.environment,
      },
      mounts: [
        { kind: 'sockets', directory, target: imagePaths.runDirectory, owner },
        { kind: 'scratch', target: imagePaths.scratchDirectory },
        ...(use?.mounts ?? []),
      ],
      devices: ['/dev/net/tun', ...(machine.accelerator.kind === 'kvm' ? ['/dev/kvm'] : [])],
      capabilities: ['NET_ADMIN', 'SETUID', 'SETGID', 'SETPCAP'],
      network: 'reachable',
      maxProcesses: MAX_PROCESSES,
      memoryMib: machine.memoryMib + QEMU_MEMORY_MIB,
    },
    { signal, log: start.log },
  )
}
