import { llb, type State } from '../../buildkit/graph.ts'
import { aptInstall } from './apt.ts'
import { sources } from './sources.ts'

/** The part of the image that is not guest: QEMU, and what makes its network and disks. */
export function runner(base: State, debian: { mirror: string | undefined; suite: string }): State {
  const installed = aptInstall(base, {
    ...debian,
    name: '[runner] apt-get install QEMU',
    packages: ['qemu-system-x86', 'iproute2', 'nftables', 'e2fsprogs', 'erofs-utils'],
  })
  return installed.file(
    // Writable for whoever QEMU runs as: the scratch disk is made here.
    llb.mkdir('/testkernels', { mode: 0o755 }).mkdir('/var/lib/testkernels', { mode: 0o1777 }),
    { name: '[runner] directories' },
  )
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
