import { amd64 } from './amd64/index.ts'
import type { Architecture } from './architecture.ts'

/** All that guests can have. */
export const architectures: readonly Architecture[] = [amd64]

/** @param machine what `uname -m` says there */
export function architectureOf(machine: string): Architecture | undefined {
  return architectures.find((architecture) => architecture.machine === machine)
}
