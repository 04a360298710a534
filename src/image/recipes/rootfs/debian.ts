import { llb, type State } from '../../../buildkit/graph.ts'
import { aptInstall } from '../apt.ts'
import { markOurs } from '../build-mark.ts'

/** Debian with its docker.io, on a base image of that suite. */
export function debianRootfs(base: string, debian: { mirror: string | undefined; suite: string }): State {
  return aptInstall(markOurs(llb.image(base, { name: `[base] ${base}` })), {
    ...debian,
    name: `[rootfs ${debian.suite}] apt-get install docker.io`,
    packages: ['docker.io', 'ca-certificates', 'iptables', 'kmod'],
  })
}
