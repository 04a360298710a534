import { llb, type State } from '../../../buildkit/index.ts'
import { sources } from '../sources.ts'

/**
 * Packs the tree of any kernel: a state with `/vmlinuz`, `/modules.cpio` (its part of the initrd), `/kernel.erofs` (the
 * guest's /boot and /lib/modules) and `/release` (images/kernel/pack.sh).
 */
export function packKernel(tools: State, tree: State, label: string): State {
  return tools
    .run({
      name: `[kernel ${label}] pack modules and files`,
      args: ['sh', '/src/pack.sh'],
      mounts: [
        llb.bind('/src', sources('kernel', { only: ['pack.sh'] }), { selector: '/src' }),
        llb.bind('/in', tree),
        llb.bind('/out', llb.scratch(), { access: 'read-write' }),
      ],
    })
    .mountOutput('/out')
}
