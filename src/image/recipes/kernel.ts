import { llb, type State } from '../../buildkit/index.ts'
import type { KernelReference } from '../../options/index.ts'
import { sources } from './sources.ts'

/** A state with `/vmlinuz`, `/modules.cpio`, `/kernel.erofs` and `/release` of one kernel (images/kernel/pack.sh). */
export function kernel(tools: State, reference: KernelReference, mirror: string | undefined): State {
  const label = `[kernel ${reference.suite}]`
  const scripts = llb.bind('/src', sources('kernel'), { selector: '/src' })
  const tree = tools
    .run({
      name: `${label} fetch linux-image-${reference.flavour}`,
      args: [
        'sh',
        '/src/fetch-debian.sh',
        reference.suite,
        reference.flavour,
        ...(mirror === undefined ? [] : [mirror]),
      ],
      mounts: [scripts, llb.bind('/out', llb.scratch(), { access: 'read-write' })],
    })
    .mountOutput('/out')
  return tools
    .run({
      name: `${label} pack modules and files`,
      args: ['sh', '/src/pack.sh'],
      mounts: [scripts, llb.bind('/in', tree), llb.bind('/out', llb.scratch(), { access: 'read-write' })],
    })
    .mountOutput('/out')
}
