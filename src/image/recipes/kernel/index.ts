import type { Architecture } from '../../../arch/index.ts'
import { llb, type State } from '../../../buildkit/graph.ts'
import { type KernelReference, kernelLabel } from '../../../options/index.ts'
import type { Drivers } from '../../preflight/drivers.ts'
import type { BuildContext } from '../../request.ts'
import { type Ingredient, storedImage } from '../ingredient.ts'
import { sources } from '../sources.ts'
import { debianKernel } from './debian.ts'
import { type KernelTree, localKernel } from './local.ts'
import { type SourceKernelContext, sourceKernel } from './source.ts'

export interface KernelRecipeContext extends SourceKernelContext, BuildContext {
  readonly tools: State
}

/** A kernel in the form of `packKernel`. */
export interface PackedKernel extends Ingredient, Pick<KernelTree, 'initrd' | 'debugInfo'> {
  /** Shown in the progress. */
  readonly label: string
}

/** Each kind of reference has a recipe for its tree in a file of its own; from here on all kernels are alike. */
export async function kernel(reference: KernelReference, context: KernelRecipeContext): Promise<PackedKernel> {
  const { state: tree, ...rest } = await kernelTree(reference, context)
  const label = kernelLabel(reference)
  const version = reference.kind === 'image' ? reference.version : undefined
  return { ...rest, label, state: packKernel(context.tools, { arch: context.arch, tree, label, version }) }
}

async function kernelTree(reference: KernelReference, context: KernelRecipeContext): Promise<KernelTree> {
  switch (reference.kind) {
    case 'debian':
      return { state: await debianKernel(reference, context) }
    case 'image':
      return await storedImage(reference.ref, { ...context, name: `[kernel] ${reference.ref}` })
    case 'dockerfile': {
      // Loaded when it is needed, and gRPC with it.
      const { dockerfileImage } = await import('../dockerfile.ts')
      return await dockerfileImage(reference, { ...context, part: 'kernel' })
    }
    case 'local':
      return await localKernel(reference, context.arch)
    case 'source':
      return await sourceKernel(reference, kernelLabel(reference), context)
  }
}

export interface PackOptions {
  readonly arch: Architecture
  /** The tree of a kernel: `/boot` and `/lib/modules`, or `/usr/lib/modules`; anything else in it does not matter. */
  readonly tree: State
  /** Shown in the progress. */
  readonly label: string
  /** Which of several. @default the newest */
  readonly version?: string | undefined
}

/** Brings the tree of any kernel into one form: a state with `/vmlinuz`, `/disk` and `/facts` (images/kernel/pack.sh). */
function packKernel(tools: State, { arch, tree, label, version }: PackOptions): State {
  return tools
    .run({
      name: `[kernel ${label}] find modules and files`,
      args: ['sh', '/src/pack.sh', ...(version === undefined ? [] : [version])],
      mounts: [
        llb.bind('/src', sources('kernel', { arch, only: ['pack.sh', 'find-kernel.sh'] }), { selector: '/src' }),
        llb.bind('/arch', sources(`kernel/${arch.name}`, { arch, only: ['kernel-image.sh'] }), { selector: '/src' }),
        llb.bind('/in', tree),
        llb.output('/out'),
      ],
    })
    .mountOutput('/out')
}

/** A state with `/modules.cpio`, a kernel's part of the initrd (images/kernel/initrd.sh). */
export function kernelInitrd(
  tools: State,
  { state, label, initrd }: PackedKernel,
  { arch, drivers: { disks, scratch } }: { readonly arch: Architecture; readonly drivers: Drivers },
): State {
  return tools
    .run({
      name: `[kernel ${label}] modules of the initrd`,
      args: ['sh', '/src/initrd.sh', disks, scratch, ...(initrd === undefined ? [] : ['/extra/initrd'])],
      mounts: [
        llb.bind('/src', sources('kernel', { arch, only: ['initrd.sh'] }), { selector: '/src' }),
        llb.bind('/kernel', state),
        ...(initrd === undefined ? [] : [llb.bind('/extra', initrd)]),
        llb.output('/out'),
      ],
    })
    .mountOutput('/out')
}
