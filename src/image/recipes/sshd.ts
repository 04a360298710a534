import { llb, type State } from '../../buildkit/graph.ts'
import { sources } from './sources.ts'

/** A state with `/dropbear`, the guest's SSH server: a static program, built from Debian's source (images/guest/sshd/build.sh). */
export function sshd(tools: State, { suite, mirror }: { suite: string; mirror: string | undefined }): State {
  return tools
    .run({
      name: '[guest] build Dropbear',
      args: ['sh', '/src/sshd/build.sh', suite, ...(mirror === undefined ? [] : [mirror])],
      mounts: [
        llb.bind('/src', sources('guest', { only: ['sshd'] }), { selector: '/src' }),
        llb.bind('/apt', sources('kernel', { only: ['debian-apt.sh'] }), { selector: '/src' }),
        llb.bind('/out', llb.scratch(), { access: 'read-write' }),
      ],
    })
    .mountOutput('/out')
}
