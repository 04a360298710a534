import type { KernelReference } from './kernel-reference.ts'

/** A kernel in few words, for people: `bookworm`. It stands in the names of build steps and, simplified, in image tags. */
export function kernelLabel(reference: KernelReference): string {
  switch (reference.kind) {
    case 'debian':
      return reference.suite
  }
}
