import { amd64 } from './amd64.ts'
import type { Architecture } from './architecture.ts'
import { readElfKernel } from './elf.ts'

export type { Architecture, Transport } from './architecture.ts'

/** All that guests can have. */
export const architectures: readonly Architecture[] = [amd64]

/** A kernel as a file says it. */
export interface IdentifiedKernel {
  readonly arch: Architecture
  /** What `uname -r` will say. */
  readonly release: string
}

/**
 * Whose kernel is in this file, an image or an ELF; undefined if it is no kernel. The file's name need not say it.
 * @throws what reading throws
 */
export function identifyKernel(vmlinuz: string): IdentifiedKernel | undefined {
  for (const arch of architectures) {
    const release = arch.kernel.readRelease(vmlinuz)
    if (release !== undefined) return { arch, release }
  }
  const elf = readElfKernel(vmlinuz)
  const arch = elf && architectures.find(({ kernel }) => kernel.elfMachine === elf.machine)
  return arch && { arch, release: elf.release }
}

/** @param machine what `uname -m` says there */
export function architectureOf(machine: string): Architecture | undefined {
  return architectures.find((architecture) => architecture.machine === machine)
}
