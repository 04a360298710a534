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

/**
 * Starts QEMU in a box of the entry's image. Not privileged: the entrypoint makes the network with the four
 * capabilities it has and drops them; QEMU runs as this process's user.
 */
export function runVmBox({ plan, start, runDirectory }: Attempt, { use, signal }: BoxUse): Promise<Box> {
  const { session, entry, image, machine } = plan
  return session.host.run(
    {
      image,
      entry: entry.name,
      command: qemuArguments({ ...machine, ...use?.machine }),
      environment: {
        TESTKERNELS_UID: String(process.getuid?.() ?? 0),
        TESTKERNELS_GID: String(process.getgid?.() ?? 0),
        TESTKERNELS_SCRATCH_MIB: String(entry.scratchMib),
        TESTKERNELS_RUN_DIR: imagePaths.runDirectory,
        TESTKERNELS_LEASE: '1',
        ...(machine.preload === 'disk' &&
          use?.machine.start !== 'stopped' && { TESTKERNELS_PRELOAD: imagePaths.preload }),
        ...use?.environment,
      },
      mounts: [{ kind: 'sockets', directory: runDirectory, target: imagePaths.runDirectory }, ...(use?.mounts ?? [])],
      devices: ['/dev/net/tun', ...(machine.accelerator.kind === 'kvm' ? ['/dev/kvm'] : [])],
      capabilities: ['NET_ADMIN', 'SETUID', 'SETGID', 'SETPCAP'],
      network: 'reachable',
      // The scratch disk is in the box's own layer and goes with it.
      rootFilesystem: 'writable',
    },
    { signal, log: start.log },
  )
}
