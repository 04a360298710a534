import type { State } from '../../../buildkit/index.ts'
import type { KernelReference } from '../../../options/index.ts'
import type { Ingredient } from '../ingredient.ts'
import { debianKernel } from './debian.ts'
import { packKernel } from './pack.ts'

/** One kernel, packed for the guest: see `packKernel`. Each kind of reference has a recipe for its tree in a file of its own. */
export function kernel(tools: State, reference: KernelReference, mirror: string | undefined): Ingredient {
  switch (reference.kind) {
    case 'debian':
      return { state: packKernel(tools, debianKernel(tools, reference, mirror), reference.suite) }
  }
}
