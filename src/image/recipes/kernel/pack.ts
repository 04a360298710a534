import type { Architecture } from '../../../arch/index.ts'
import { llb, type State } from '../../../buildkit/graph.ts'
import { sources } from '../sources.ts'

export interface PackOptions {
  readonly arch: Architecture
  /** The tree of a kernel: `/boot` and `/lib/modules`, or `/usr/lib/modules`; anything else in it does not matter. */
  readonly tree: State
  /** Shown in the progress. */
  readonly label: string
  /** A state with `/initrd`, which goes in front of ours. */
  readonly initrd?: State
}

/**
 * Packs the tree of any kernel: a state with `/vmlinuz`, `/modules.cpio` (its part of the initrd), `/kernel.erofs` (the
 * guest's /boot and /lib/modules) and `/facts` (images/kernel/pack.sh).
 */
export function packKernel(tools: State, { arch, tree, label, initrd }: PackOptions): State {
  return tools
    .run({
      name: `[kernel ${label}] pack modules and files`,
      args: ['sh', '/src/pack.sh', ...(initrd === undefined ? [] : ['/extra/initrd'])],
      mounts: [
        llb.bind('/src', sources('kernel', { arch, only: ['pack.sh', 'find-kernel.sh'] }), { selector: '/src' }),
        llb.bind('/arch', sources(`kernel/${arch.name}`, { arch, only: ['kernel-image.sh'] }), { selector: '/src' }),
        llb.bind('/in', tree),
        ...(initrd === undefined ? [] : [llb.bind('/extra', initrd)]),
        llb.output('/out'),
      ],
    })
    .mountOutput('/out')
}
