import { type Lease, runLabels, startLease } from '../../engine/index.ts'
import { imagePaths, qemuArguments } from '../../qemu/index.ts'
import type { TemplateUse } from '../../template/index.ts'
import type { BootOptions } from './boot-options.ts'
import { CONTROL_SOCKET, MONITOR_SOCKET } from './run-directory.ts'

export interface VmContainerOptions extends BootOptions {
  /** The host's directory that QEMU's sockets go into. */
  readonly runDirectory: string
  /** The template that the VM comes from or becomes. */
  readonly use: TemplateUse | undefined
}

/**
 * Starts QEMU in a container of the entry's image. Not privileged: the entrypoint makes the network with the four
 * capabilities it has and drops them; QEMU runs as this process's user.
 */
export function startVmContainer(options: VmContainerOptions): Promise<Lease> {
  const { host, entry, image, accelerator, runDirectory, use, log, signal } = options
  const controlSocket = `${imagePaths.runDirectory}/${CONTROL_SOCKET}`
  const monitorSocket = `${imagePaths.runDirectory}/${MONITOR_SOCKET}`
  const { memoryMib, cpus, cgroup } = entry
  return startLease(
    host.engine,
    {
      image,
      entry: entry.name,
      labels: runLabels(host.ownership, entry.name),
      command: qemuArguments({
        arch: host.engine.arch,
        accelerator,
        memoryMib,
        cpus,
        cgroup,
        controlSocket,
        monitorSocket,
        ...use?.machine,
      }),
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
      devices: ['/dev/net/tun', ...(accelerator.kind === 'kvm' ? ['/dev/kvm'] : [])],
      capabilities: ['NET_ADMIN', 'SETUID', 'SETGID', 'SETPCAP'],
      // The scratch disk is in the container's own layer and goes with it.
      rootFilesystem: 'writable',
    },
    { signal, log },
  )
}
