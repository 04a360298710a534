import { type Lease, runLabels, startLease } from '../engine/index.ts'
import type { Logger } from '../log/index.ts'
import type { KernelEntry } from '../options/index.ts'
import { type Accelerator, imagePaths, qemuArguments } from '../qemu/index.ts'
import type { Host } from './host.ts'
import { CONTROL_SOCKET } from './run-directory.ts'

export interface VmContainerOptions {
  readonly host: Host
  readonly entry: KernelEntry
  readonly image: string
  readonly accelerator: Accelerator
  /** The host's directory that QEMU's sockets go into. */
  readonly runDirectory: string
  readonly log: Logger
  readonly signal: AbortSignal
}

/**
 * Starts QEMU in a container of the entry's image. Not privileged: the entrypoint makes the network with the four
 * capabilities it has and drops them; QEMU runs as this process's user.
 */
export function startVmContainer(options: VmContainerOptions): Promise<Lease> {
  const { host, entry, image, accelerator, runDirectory, log, signal } = options
  const controlSocket = `${imagePaths.runDirectory}/${CONTROL_SOCKET}`
  const { memoryMib, cpus, cgroup } = entry
  return startLease(
    host.engine,
    {
      image,
      entry: entry.name,
      labels: runLabels(host.ownership, entry.name),
      command: qemuArguments({ accelerator, memoryMib, cpus, cgroup, controlSocket }),
      environment: {
        TESTKERNELS_UID: String(process.getuid?.() ?? 0),
        TESTKERNELS_GID: String(process.getgid?.() ?? 0),
        TESTKERNELS_SCRATCH_MIB: String(entry.scratchMib),
        TESTKERNELS_RUN_DIR: imagePaths.runDirectory,
        TESTKERNELS_LEASE: '1',
      },
      mounts: [{ kind: 'bind', source: runDirectory, target: imagePaths.runDirectory, access: 'read-write' }],
      devices: ['/dev/net/tun', ...(accelerator.kind === 'kvm' ? ['/dev/kvm'] : [])],
      capabilities: ['NET_ADMIN', 'SETUID', 'SETGID', 'SETPCAP'],
      // The scratch disk is in the container's own layer and goes with it.
      rootFilesystem: 'writable',
    },
    { signal, log },
  )
}
