import type { HasOutput, Output } from './vertex.ts'

/** What an op writes for "no input" and "no output". */
export const NONE = -1n

/** The inputs of an op while it is made, each listed once. */
export class InputList {
  readonly outputs: Output[] = []

  /** The index that the op refers to `source` by. */
  add({ output }: HasOutput): bigint {
    if (output === undefined) return NONE
    const known = this.outputs.findIndex(
      ({ vertex, index }) => vertex.digest === output.vertex.digest && index === output.index,
    )
    if (known >= 0) return BigInt(known)
    this.outputs.push(output)
    return BigInt(this.outputs.length - 1)
  }
}
