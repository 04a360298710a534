import { basename, dirname } from 'node:path'
import type { Architecture } from '../../arch/index.ts'
import { llb, type State } from '../../buildkit/graph.ts'
import type { LocalRootfs, RootfsReference } from '../../options/index.ts'
import type { DebianMirror } from '../base/debian-mirror.ts'
import type { DockerfileContext } from './dockerfile.ts'
import { contentKeyOf, type Ingredient, markOurs } from './ingredient.ts'
import { type StoredImageContext, storedImage } from './stored-image.ts'
import { aptInstall } from './tools.ts'

export interface RootfsContext extends DockerfileContext, StoredImageContext {
  readonly tools: State
  readonly mirror: DebianMirror | undefined
  /** The base image of a Debian suite, made if need be. */
  readonly base: (suite: string) => Promise<string>
}

/** The guest's root file system. Each kind of reference has a file of its own here. */
export async function rootfs(reference: RootfsReference, context: RootfsContext): Promise<Ingredient> {
  switch (reference.kind) {
    case 'debian': {
      const { suite } = reference
      return {
        state: debianRootfs(await context.base(suite), { suite, mirror: context.mirror, arch: context.host.arch }),
      }
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
}

/** Debian with its docker.io, on a base image of that suite; with AppArmor's parser, so that containers are confined as on a Debian. */
function debianRootfs(base: string, { arch, ...debian }: DebianRootfsOptions): State {
  const { platform } = arch
  return aptInstall(markOurs(llb.image(base, { platform, name: `[base] ${base}` })), {
    ...debian,
    name: `[rootfs ${debian.suite}] apt-get install docker.io`,
    packages: ['docker.io', 'apparmor', 'ca-certificates', 'iptables', 'kmod'],
  })
}

/** A state with the `/daemon.json` of a rootfs, if it has one. */
export function daemonJsonOf({ state, ...rest }: Ingredient, tools: State): Ingredient {
  const daemonJson = tools
    .run({
      name: '[rootfs] daemon.json',
      // A link leads somewhere in the guest only.
      script: 'cd /mnt/etc/docker 2>/dev/null && [ ! -L daemon.json ] && cp daemon.json /out/ || :',
      mounts: [llb.bind('/mnt', state), llb.output('/out')],
    })
    .mountOutput('/out')
  return { ...rest, state: daemonJson }
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
