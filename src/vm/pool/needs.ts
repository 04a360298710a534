import type { KernelEntry } from '../../options/index.ts'

/** What a clone writes to before it does anything: on this side of it, no VM gets going. */
export const CLONE_NEEDS_MIB = 128

/** What a VM that boots from the start takes until its dockerd answers. */
export function bootNeedsMib({ memoryMib }: KernelEntry): number {
  return memoryMib / 2
}
