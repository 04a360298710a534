import type { Architecture } from '../../arch/index.ts'
import { llb, type State } from '../../buildkit/graph.ts'
import { sources } from './sources.ts'

/**
 * What the guest's dockerd is started with. Its networks are apart from the engine's defaults (172.17.0.0/16 and on): where
 * both have the same addresses, replies to the engine's side stay in the guest.
 */
export const guestCommand = [
  'dockerd',
  '--bip=10.201.0.1/16',
  '--default-address-pool=base=10.202.0.0/15,size=24',
] as const

export interface GuestInput {
  readonly arch: Architecture
  readonly tools: State
  /** A state with `/dropbear`. */
  readonly sshd: State
  /** A state with `/guest`. */
  readonly door: State
  /** The guest's command in place of dockerd. */
  readonly init: readonly string[] | undefined
}

/** A state with `/guest.cpio`: init, agent, door, busybox and sshd; the same for every kernel. */
export function guest({ arch, tools, sshd, door, init }: GuestInput): State {
  const command = init ?? guestCommand
  const withCommand = sources('guest', { arch, only: ['agent', 'build.sh', 'init'] }).file(
    llb
      .mkfile('/src/command', `${command.join('\n')}\n`)
      // The agent says `ready` when dockerd answers, or when a command of the user's has started.
      .mkfile('/src/ready', init === undefined ? 'docker\n' : 'started\n'),
    { name: '[guest] command' },
  )
  return tools
    .run({
      name: '[guest] compile the agent, pack the initrd',
      args: ['sh', '/src/build.sh'],
      mounts: [
        llb.bind('/src', withCommand, { selector: '/src' }),
        llb.bind('/sshd', sshd),
        llb.bind('/door', door),
        llb.output('/out'),
      ],
    })
    .mountOutput('/out')
}
