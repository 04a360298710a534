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

/** Compiles what measures the host's TSC; a state with `/tsc-khz`. */
export function tscMeter(tools: State): State {
  return tools
    .run({
      name: '[runner] compile tsc-khz',
      args: ['musl-gcc', '-static', '-Os', '-Wall', '-Werror', '-o', '/out/tsc-khz', '/src/tsc-khz.c'],
      mounts: [
        llb.bind('/src', sources('runner'), { selector: '/src' }),
        llb.bind('/out', llb.scratch(), { access: 'read-write' }),
      ],
    })
    .mountOutput('/out')
}
