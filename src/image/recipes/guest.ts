import type { Architecture } from '../../arch/index.ts'
import { llb, type State } from '../../buildkit/graph.ts'
import type { GuestInit } from '../../options/index.ts'
import { guestLink } from '../../qemu/index.ts'
import { aptAuth, type DebianMirror } from '../base/debian-mirror.ts'
import { sources } from './sources.ts'

/**
 * What the guest's dockerd is started with. Its networks are apart from the engine's defaults (172.17.0.0/16 and on): where
 * both have the same addresses, replies to the engine's side stay in the guest. What `host-gateway` stands for is the machine, and not the
 * guest, so that `host.docker.internal` is what it is with the engine outside. The agent leaves out those for which the rootfs's
 * daemon.json has its own (images/guest/agent/command.c).
 */
const DOCKERD = [
  'dockerd',
  '--bip=10.201.0.1/16',
  '--default-address-pool=base=10.202.0.0/15,size=24',
  `--host-gateway-ip=${guestLink.gatewayAddress}`,
] as const

/** What the distribution's docker.service starts dockerd with, where systemd is PID 1, has these behind it. */
const DOCKERD_OF_SYSTEMD = [...DOCKERD, '--exec-opt=native.cgroupdriver=systemd'] as const

/** The program that a rootfs must have: a name, or a path. */
export function neededProgram(init: GuestInit): string {
  return init === 'systemd' ? '/lib/systemd/systemd' : (commandOf(init)[0] ?? '')
}

function commandOf(init: GuestInit): readonly string[] {
  if (init === 'testkernels') return DOCKERD
  return init === 'systemd' ? DOCKERD_OF_SYSTEMD : init
}

export interface GuestInput {
  readonly arch: Architecture
  readonly tools: State
  /** A state with `/dropbear`. */
  readonly sshd: State
  /** A state with `/guest` and `/share`. */
  readonly door: State
  readonly init: GuestInit
}

/** A state with `/guest.cpio`: init, agent, door, busybox and sshd; the same for every kernel. */
export function guest({ arch, tools, sshd, door, init }: GuestInput): State {
  const files = ['agent', 'build.sh', 'init', 'sysctl.conf', ...(init === 'systemd' ? ['systemd'] : [])]
  const withCommand = sources('guest', { arch, only: files }).file(
    llb
      .mkfile('/src/command', `${commandOf(init).join('\n')}\n`)
      // The agent says `ready` when dockerd answers, or when a command of the user's has started.
      .mkfile('/src/ready', typeof init === 'string' ? 'docker\n' : 'started\n'),
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

export interface SshdOptions {
  readonly arch: Architecture
  readonly suite: string
  readonly mirror: DebianMirror | undefined
}

/** A state with `/dropbear`, the guest's SSH server: a static program, built from Debian's source (images/guest/sshd/build.sh). */
export function sshd(tools: State, { arch, suite, mirror }: SshdOptions): State {
  return tools
    .run({
      name: '[guest] build Dropbear',
      args: ['sh', '/src/sshd/build.sh', suite, ...(mirror === undefined ? [] : [mirror.url])],
      mounts: [
        llb.bind('/src', sources('guest', { arch, only: ['sshd'] }), { selector: '/src' }),
        llb.bind('/apt', sources('kernel', { arch, only: ['debian-apt.sh'] }), { selector: '/src' }),
        ...aptAuth(mirror),
        llb.output('/out'),
      ],
    })
    .mountOutput('/out')
}

/** Compiles both ends of the door (images/door), static: a state with `/box`, for the container, and `/guest` and its `/share`. */
export function doorPrograms(tools: State, arch: Architecture): State {
  return tools
    .run({
      name: '[door] compile both ends',
      script: `
cd /src
# The kernel's headers come from the C library beside musl's; musl's own go first.
headers="-idirafter /usr/include -idirafter /usr/include/$(gcc -print-multiarch)"
compile() {
  musl-gcc $headers -static -Os -Wall -Wextra -Werror -s -o /out/$1 $1.c $2
}
both='request.c pair.c listener.c loop.c support.c'
compile box "$both host-ports.c names.c"
compile guest "$both frames.c datagrams.c"
compile share`,
      mounts: [llb.bind('/src', sources('door', { arch }), { selector: '/src' }), llb.output('/out')],
    })
    .mountOutput('/out')
}
