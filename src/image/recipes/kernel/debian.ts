import { llb, type State } from '../../../buildkit/graph.ts'
import type { DebianKernel } from '../../../options/index.ts'
import { sources } from '../sources.ts'

/** The tree of a kernel of Debian's: `/boot` and `/lib/modules`, or `/usr/lib/modules` (images/kernel/fetch-debian.sh). */
export function debianKernel(tools: State, { suite, flavour }: DebianKernel, mirror: string | undefined): State {
  return tools
    .run({
      name: `[kernel ${suite}] fetch linux-image-${flavour}`,
      args: ['sh', '/src/fetch-debian.sh', suite, flavour, ...(mirror === undefined ? [] : [mirror])],
      mounts: [
        llb.bind('/src', sources('kernel', { only: ['fetch-debian.sh', 'debian-apt.sh'] }), { selector: '/src' }),
        llb.bind('/out', llb.scratch(), { access: 'read-write' }),
      ],
    })
    .mountOutput('/out')
}
