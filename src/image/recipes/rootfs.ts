import { basename, dirname } from 'node:path'
import type { Architecture } from '../../arch/index.ts'
import { llb, type State } from '../../buildkit/graph.ts'
import type { GuestInit, LocalRootfs, RootfsReference } from '../../options/index.ts'
import type { DebianMirror } from '../base/debian-mirror.ts'
import type { DockerfileContext } from './dockerfile.ts'
import { contentKeyOf, type Ingredient, markOurs, type StoredImageContext, storedImage } from './ingredient.ts'
import { aptInstall } from './tools.ts'

export interface RootfsContext extends DockerfileContext, StoredImageContext {
  readonly tools: State
  readonly mirror: DebianMirror | undefined
  /** The base image of a Debian suite, made if need be. */
  readonly base: (suite: string) => Promise<string>
  readonly init: GuestInit
}

/** The guest's root file system. Each kind of reference has a file of its own here. */
export async function rootfs(reference: RootfsReference, context: RootfsContext): Promise<Ingredient> {
  switch (reference.kind) {
    case 'debian': {
      const { suite } = reference
      const { mirror, init } = context
      return { state: debianRootfs(await context.base(suite), { suite, mirror, init, arch: context.host.arch }) }
    }
    case 'image':
      return await storedImage(reference.ref, { ...context, name: `[rootfs] ${reference.ref}` })
    case 'dockerfile': {
      // The one that has to be solved to be known.
      const { dockerfileImage } = await import('./dockerfile.ts')
      return await dockerfileImage(reference, { ...context, part: 'rootfs' })
    }
    case 'directory':
    case 'tar':
      return await localRootfs(reference, { tools: context.tools, arch: context.host.arch })
  }
}

export interface DebianRootfsOptions {
  readonly arch: Architecture
  readonly mirror: DebianMirror | undefined
  readonly suite: string
  readonly init: GuestInit
}

/** What Debian's docker.io needs of a machine with systemd: logins, and a dockerd of their own for those who log in. */
const WITH_SYSTEMD = [
  ...['systemd-sysv', 'udev', 'dbus', 'dbus-user-session', 'libpam-systemd'],
  ...['uidmap', 'rootlesskit', 'slirp4netns', 'iproute2'],
]

/** Debian with its docker.io, on a base image of that suite; with AppArmor's parser, so that containers are confined as on a Debian. */
function debianRootfs(base: string, { arch, init, ...debian }: DebianRootfsOptions): State {
  const { platform } = arch
  const more = init === 'systemd' ? WITH_SYSTEMD : []
  return aptInstall(markOurs(llb.image(base, { platform, name: `[base] ${base}` })), {
    ...debian,
    name: `[rootfs ${debian.suite}] apt-get install ${['docker.io', ...more.slice(0, 1)].join(' ')}`,
    packages: ['docker.io', 'apparmor', 'ca-certificates', 'iptables', 'kmod', ...more],
  })
}

/**
 * A state with the `/daemon.json` of a rootfs, if it has one, and with the version of its systemd in `/systemd`, or `unknown` where the name
 * of its library does not tell, and what it has a unit of, as images/guest/systemd/hand-over.sh finds them.
 */
export function rootfsFacts({ state, ...rest }: Ingredient, tools: State): Ingredient {
  const facts = tools
    .run({
      name: '[rootfs] facts',
      // A link leads somewhere in the guest only.
      script: `
cd /mnt
daemon_json=etc/docker/daemon.json
[ ! -f $daemon_json ] || [ -L $daemon_json ] || cp $daemon_json /out/
[ -x lib/systemd/systemd ] || exit 0
version=unknown
for library in lib/systemd lib/*/systemd lib64/systemd; do
  for path in $library/libsystemd-shared-*.so; do [ ! -e $path ] || version=\${path##*-shared-}; done
done
version=\${version%.so}
has() {
  for dir in etc/systemd/system usr/local/lib/systemd/system usr/lib/systemd/system lib/systemd/system; do
    if [ -L $dir/$1 ]; then [ "$(readlink $dir/$1)" != /dev/null ]; return; fi
    if [ -e $dir/$1 ]; then [ -s $dir/$1 ]; return; fi
  done
  return 1
}
engine=none
if has docker.service; then engine=dockerd; elif has containerd.service; then engine=containerd; fi
echo "\${version%%[!0-9a-z]*} $engine" >/out/systemd`,
      mounts: [llb.bind('/mnt', state), llb.output('/out')],
    })
    .mountOutput('/out')
  return { ...rest, state: facts }
}

const DIRECTORY = 'testkernels-rootfs'

/** A root file system of this machine: a directory as it is, or a tar that is unpacked in the tools state. */
async function localRootfs(
  { kind, path }: LocalRootfs,
  { tools, arch }: { readonly tools: State; readonly arch: Architecture },
): Promise<Ingredient> {
  const { platform } = arch
  const contentKey = await contentKeyOf(path)
  if (kind === 'directory') {
    const state = llb.local(DIRECTORY, { platform, name: `[rootfs] load ${path}` })
    return { state, contentKey, directories: { [DIRECTORY]: { path } } }
  }
  const file = basename(path)
  const state = tools
    .run({
      name: `[rootfs] unpack ${file}`,
      args: ['tar', '--numeric-owner', '--xattrs', '-xf', `/in/${file}`, '-C', '/out'],
      mounts: [llb.bind('/in', llb.local(DIRECTORY, { platform, name: `[rootfs] load ${path}` })), llb.output('/out')],
    })
    .mountOutput('/out')
  return { state, contentKey, directories: { [DIRECTORY]: { path: dirname(path), include: [file] } } }
}
