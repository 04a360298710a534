import { type Lease, runLabels, startLease } from '../../engine/index.ts'
import { imagePaths, qemuArguments } from '../../qemu/index.ts'
import type { TemplateUse } from '../../template/index.ts'
import type { Attempt } from './attempt.ts'

export interface ContainerUse {
  /** The template that the VM comes from or becomes, if any. */
  readonly use?: TemplateUse | undefined
  /** Calls it off. */
  readonly signal: AbortSignal
}

/**
 * Starts QEMU in a container of the entry's image. Not privileged: the entrypoint makes the network with the four
 * capabilities it has and drops them; QEMU runs as this process's user.
 */
export function startVmContainer(
  { plan, start, runDirectory }: Attempt,
  { use, signal }: ContainerUse,
): Promise<Lease> {
  const { host, entry, image, machine } = plan
  return startLease(
    host.engine,
    {
      image,
      entry: entry.name,
      labels: runLabels(host.ownership, entry.name),
      command: qemuArguments({ ...machine, ...use?.machine }),
      environment: {
        TESTKERNELS_UID: String(process.getuid?.() ?? 0),
        TESTKERNELS_GID: String(process.getgid?.() ?? 0),
        TESTKERNELS_SCRATCH_MIB: String(entry.scratchMib),
        TESTKERNELS_RUN_DIR: imagePaths.runDirectory,
        TESTKERNELS_LEASE: '1',
        ...use?.environment,
      },
      mounts: [
        { kind: 'bind', source: runDirectory, target: imagePaths.runDirectory, access: 'read-write' },
        ...(use?.mounts ?? []),
      ],
      devices: ['/dev/net/tun', ...(machine.accelerator.kind === 'kvm' ? ['/dev/kvm'] : [])],
      capabilities: ['NET_ADMIN', 'SETUID', 'SETGID', 'SETPCAP'],
      // The scratch disk is in the container's own layer and goes with it.
      rootFilesystem: 'writable',
    },
    { signal, log: start.log },
  )
}
