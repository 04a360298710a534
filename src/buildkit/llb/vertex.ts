import { createHash } from 'node:crypto'
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { OpSchema } from '../gen/ops_pb.ts'

/** In the words of OCI images. */
export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
}

/**
 * One op of a graph. It is marshalled when it is made: its inputs exist by then and nothing changes afterwards, so that the
 * digest of a vertex is that of everything below it.
 */
export interface Vertex {
  /** `sha256:` of `bytes`. */
  readonly digest: string
  readonly bytes: Uint8Array
  readonly inputs: readonly Output[]
  readonly metadata: VertexMetadata
}

/** What the engine is told beside the op. No part of the digest. */
export interface VertexMetadata {
  /** What people see instead of the command. */
  readonly name?: string | undefined
  /** Run it even when its result is cached. */
  readonly ignoreCache?: boolean | undefined
}

/** One of the results of a vertex. */
export interface Output {
  readonly vertex: Vertex
  readonly index: number
}

/** Anything that has a file system in the graph; undefined is the empty one. */
export interface HasOutput {
  readonly output: Output | undefined
}

export interface VertexOptions {
  readonly op: NonNullable<MessageInitShape<typeof OpSchema>['op']>
  readonly inputs?: readonly Output[]
  /** Never left to the engine: one that runs several would choose. */
  readonly platform: Platform
  readonly metadata?: VertexMetadata
}

export function createVertex({ op, inputs = [], platform, metadata = {} }: VertexOptions): Vertex {
  const bytes = toBinary(OpSchema, create(OpSchema, { op, inputs: inputs.map(toInput), platform }))
  return { digest: digestOf(bytes), bytes, inputs, metadata }
}

export function toInput({ vertex, index }: Output): { digest: string; index: bigint } {
  return { digest: vertex.digest, index: BigInt(index) }
}

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

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
