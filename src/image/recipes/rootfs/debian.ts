import type { Architecture } from '../../../arch/index.ts'
import { llb, type State } from '../../../buildkit/graph.ts'
import { aptInstall } from '../apt.ts'
import { markOurs } from '../build-mark.ts'

export interface DebianRootfsOptions {
  readonly arch: Architecture
  readonly mirror: string | undefined
  readonly suite: string
}

/** Debian with its docker.io, on a base image of that suite. */
export function debianRootfs(base: string, { arch, ...debian }: DebianRootfsOptions): State {
  const { platform } = arch
  return aptInstall(markOurs(llb.image(base, { platform, name: `[base] ${base}` })), {
    ...debian,
    name: `[rootfs ${debian.suite}] apt-get install docker.io`,
    packages: ['docker.io', 'ca-certificates', 'iptables', 'kmod'],
  })
}
