import { llb, type State } from '../../buildkit/graph.ts'
import { imagePaths } from '../../qemu/index.ts'
import { aptInstall } from './apt.ts'
import { sources } from './sources.ts'

/** The part of the image that is not guest: QEMU, and what makes its network and disks. */
export function runner(base: State, debian: { mirror: string | undefined; suite: string }): State {
  const installed = aptInstall(base, {
    ...debian,
    name: '[runner] apt-get install QEMU',
    packages: ['qemu-system-x86', 'iproute2', 'nftables', 'e2fsprogs', 'erofs-utils'],
  })
  return installed.run({
    name: '[runner] directories',
    // Writable for whoever QEMU runs as: the scratch disk is made here. A new volume takes the mode of the directory that it is
    // mounted on, and templates serve all users of the engine. A file operation's mode goes through the engine's umask.
    script: `mkdir /testkernels && mkdir -m 1777 /var/lib/testkernels && mkdir -m 0777 ${imagePaths.templates}`,
  })
}

/** Compiles the runner's programs (images/runner/*.c), static: a state with `/tsc-khz` and `/digest`. */
export function runnerPrograms(tools: State): State {
  return tools
    .run({
      name: '[runner] compile tsc-khz and digest',
      script: `
for program in tsc-khz digest; do
  # The checksums' header comes from where the C library's are; musl's own go first.
  musl-gcc -idirafter /usr/include -static -O2 -Wall -Werror -o /out/$program /src/$program.c
done`,
      mounts: [
        llb.bind('/src', sources('runner', { only: ['tsc-khz.c', 'digest.c'] }), { selector: '/src' }),
        llb.bind('/out', llb.scratch(), { access: 'read-write' }),
      ],
    })
    .mountOutput('/out')
}
