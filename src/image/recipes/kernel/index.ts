import type { State } from '../../../buildkit/graph.ts'
import { type KernelReference, kernelLabel } from '../../../options/index.ts'
import type { Ingredient } from '../ingredient.ts'
import { type StoredImageContext, storedImage } from '../stored-image.ts'
import { debianKernel } from './debian.ts'
import { type LocalKernelTree, localKernel } from './local.ts'
import { packKernel } from './pack.ts'
import { type SourceKernelContext, sourceKernel } from './source.ts'

export interface KernelRecipeContext extends SourceKernelContext, StoredImageContext {
  readonly tools: State
}

/** One kernel, packed for the guest: see `packKernel`. Each kind of reference has a recipe for its tree in a file of its own. */
export async function kernel(reference: KernelReference, context: KernelRecipeContext): Promise<Ingredient> {
  const { state: tree, initrd, ...rest } = await kernelTree(reference, context)
  const label = kernelLabel(reference)
  return { ...rest, state: packKernel(context.tools, { arch: context.arch, tree, label, ...(initrd && { initrd }) }) }
}

async function kernelTree(reference: KernelReference, context: KernelRecipeContext): Promise<LocalKernelTree> {
  switch (reference.kind) {
    case 'debian':
      return { state: debianKernel(context.tools, reference, context) }
    case 'image':
      return await storedImage(reference.ref, { ...context, name: `[kernel] ${reference.ref}` })
    case 'local':
      return await localKernel(reference, context.arch)
    case 'source':
      return await sourceKernel(reference, kernelLabel(reference), context)
  }
}
