import type { State } from '../../../buildkit/index.ts'
import { type KernelReference, kernelLabel } from '../../../options/index.ts'
import type { Ingredient } from '../ingredient.ts'
import { debianKernel } from './debian.ts'
import { packKernel } from './pack.ts'
import { type SourceKernelContext, sourceKernel } from './source.ts'

export interface KernelRecipeContext extends SourceKernelContext {
  readonly tools: State
}

/** One kernel, packed for the guest: see `packKernel`. Each kind of reference has a recipe for its tree in a file of its own. */
export async function kernel(reference: KernelReference, context: KernelRecipeContext): Promise<Ingredient> {
  const tree = await kernelTree(reference, context)
  return { ...tree, state: packKernel(context.tools, tree.state, kernelLabel(reference)) }
}

async function kernelTree(reference: KernelReference, context: KernelRecipeContext): Promise<Ingredient> {
  switch (reference.kind) {
    case 'debian':
      return { state: debianKernel(context.tools, reference, context.mirror) }
    case 'source':
      return await sourceKernel(reference, kernelLabel(reference), context)
  }
}
