import type { State } from '../../buildkit/index.ts'
import { aptInstall } from './apt.ts'

/** The guest's root: Debian with its docker.io. */
export function rootfs(base: State, debian: { mirror: string | undefined; suite: string }): State {
  return aptInstall(base, {
    ...debian,
    name: '[rootfs] apt-get install docker.io',
    packages: ['docker.io', 'ca-certificates', 'iptables', 'kmod'],
  })
}
