import type { ExecState, State } from '../../buildkit/graph.ts'
import { aptInstall } from './apt.ts'

/** The state that compiles and packs; nothing of it is in the image. */
export function tools(base: State, debian: { mirror: string | undefined; suite: string }): ExecState {
  return aptInstall(base, {
    ...debian,
    name: '[tools] apt-get install compiler and packers',
    packages: [
      // the agent and the SSH server, static
      ...['gcc', 'musl-tools', 'libc6-dev', 'linux-libc-dev', 'make', 'patch', 'bzip2'],
      // checksums of templates
      'libxxhash-dev',
      // what the guest gets: a shell for init
      'busybox-static',
      // kernels and disks
      ...['kmod', 'xz-utils', 'zstd', 'cpio', 'erofs-utils'],
    ],
  })
}
