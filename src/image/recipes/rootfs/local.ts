import { basename, dirname } from 'node:path'
import type { Architecture } from '../../../arch/index.ts'
import { llb, type State } from '../../../buildkit/graph.ts'
import type { LocalRootfs } from '../../../options/index.ts'
import { contentKeyOf } from '../content-key.ts'
import type { Ingredient } from '../ingredient.ts'

const DIRECTORY = 'testkernels-rootfs'

/** A root file system of this machine: a directory as it is, or a tar that is unpacked in the tools state. */
export async function localRootfs(
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
