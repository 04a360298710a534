import { type ExecState, llb, type State } from '../../buildkit/graph.ts'
import { aptAuth, type DebianMirror } from '../base/debian-mirror.ts'

/** The state that compiles and packs; nothing of it is in the image. */
export function tools(base: State, debian: { mirror: DebianMirror | undefined; suite: string }): ExecState {
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
      // kernels
      ...['kmod', 'xz-utils', 'zstd', 'lz4', 'cpio'],
    ],
  })
}

export interface AptInstallOptions {
  /** Shown in the progress. */
  readonly name: string
  /** The Debian archive; without one, what the state's own apt configuration says. */
  readonly mirror: DebianMirror | undefined
  readonly suite: string
  readonly packages: readonly string[]
}

/** A state with packages installed, and without the package lists, caches and documents that nobody reads in an image. */
export function aptInstall(state: State, { name, mirror, suite, packages }: AptInstallOptions): ExecState {
  return state.run({
    name,
    script: `
if [ -n "$MIRROR" ]; then
  rm -f /etc/apt/sources.list.d/*
  echo "deb $MIRROR ${suite} main" >/etc/apt/sources.list
fi
apt-get update
apt-get install -y --no-install-recommends ${packages.join(' ')}
rm -rf /usr/share/doc/* /usr/share/man/* /usr/share/locale/* /var/log/* /var/cache/debconf/*`,
    env: { DEBIAN_FRONTEND: 'noninteractive', MIRROR: mirror?.url ?? '' },
    mounts: [
      llb.cache('/var/cache/apt', { id: `testkernels-apt-cache-${suite}`, sharing: 'locked' }),
      llb.cache('/var/lib/apt/lists', { id: `testkernels-apt-lists-${suite}`, sharing: 'locked' }),
      ...aptAuth(mirror),
    ],
  })
}
