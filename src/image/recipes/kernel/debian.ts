import type { Architecture } from '../../../arch/index.ts'
import { llb, type State } from '../../../buildkit/graph.ts'
import type { DebianKernel } from '../../../options/index.ts'
import { sources } from '../sources.ts'

export interface DebianKernelOptions {
  readonly arch: Architecture
  readonly mirror: string | undefined
}

/** The tree of a kernel of Debian's: `/boot` and `/lib/modules`, or `/usr/lib/modules` (images/kernel/fetch-debian.sh). */
export function debianKernel(tools: State, kernel: DebianKernel, { arch, mirror }: DebianKernelOptions): State {
  const { suite, flavour = arch.kernel.debianFlavour } = kernel
  return tools
    .run({
      name: `[kernel ${suite}] fetch linux-image-${flavour}`,
      args: ['sh', '/src/fetch-debian.sh', suite, flavour, ...(mirror === undefined ? [] : [mirror])],
      mounts: [
        llb.bind('/src', sources('kernel', { arch, only: ['fetch-debian.sh', 'debian-apt.sh'] }), { selector: '/src' }),
        llb.output('/out'),
      ],
    })
    .mountOutput('/out')
}
