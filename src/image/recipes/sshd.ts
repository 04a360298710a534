import type { Architecture } from '../../arch/index.ts'
import { llb, type State } from '../../buildkit/graph.ts'
import { sources } from './sources.ts'

export interface SshdOptions {
  readonly arch: Architecture
  readonly suite: string
  readonly mirror: string | undefined
}

/** A state with `/dropbear`, the guest's SSH server: a static program, built from Debian's source (images/guest/sshd/build.sh). */
export function sshd(tools: State, { arch, suite, mirror }: SshdOptions): State {
  return tools
    .run({
      name: '[guest] build Dropbear',
      args: ['sh', '/src/sshd/build.sh', suite, ...(mirror === undefined ? [] : [mirror])],
      mounts: [
        llb.bind('/src', sources('guest', { arch, only: ['sshd'] }), { selector: '/src' }),
        llb.bind('/apt', sources('kernel', { arch, only: ['debian-apt.sh'] }), { selector: '/src' }),
        llb.output('/out'),
      ],
    })
    .mountOutput('/out')
}
