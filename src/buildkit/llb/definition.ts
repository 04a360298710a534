import { createHash } from 'node:crypto'
import { create, fromBinary, type MessageInitShape, type MessageShape, toBinary } from '@bufbuild/protobuf'
import { type DefinitionSchema, OpSchema } from '../gen/ops_pb.ts'

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

function toInput({ vertex, index }: Output): { digest: string; index: bigint } {
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

/** A graph as the engine takes it. */
export interface Definition {
  /** `sha256:` of the whole graph. The same graph has the same digest in any process; names are no part of it. */
  readonly digest: string
  readonly vertexes: readonly Vertex[]
  /** Marks the result: an op with nothing but one input. Absent from the empty graph. */
  readonly terminal: Uint8Array | undefined
}

/** The graph that ends in `output`, inputs before what reads them, each vertex once. */
export function marshal(output: Output | undefined): Definition {
  if (output === undefined) return { digest: digestOf(new Uint8Array()), vertexes: [], terminal: undefined }
  const seen = new Map<string, Vertex>()
  collect(output.vertex, seen)
  const terminal = toBinary(OpSchema, create(OpSchema, { inputs: [toInput(output)] }))
  return { digest: digestOf(terminal), vertexes: [...seen.values()], terminal }
}

/** Depth first on a stack of our own: a graph may be deeper than the call stack. */
function collect(last: Vertex, seen: Map<string, Vertex>): void {
  const stack = [{ vertex: last, expanded: false }]
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { vertex, expanded } = top
    if (seen.has(vertex.digest)) continue
    if (expanded) {
      seen.set(vertex.digest, vertex)
      continue
    }
    stack.push({ vertex, expanded: true })
    for (const input of vertex.inputs.toReversed()) stack.push({ vertex: input.vertex, expanded: false })
  }
}

type DefinitionMessage = Pick<MessageShape<typeof DefinitionSchema>, 'def'> & {
  metadata: Record<string, { ignoreCache: boolean; description: Record<string, string> }>
}

export function definitionMessage({ vertexes, terminal }: Definition): DefinitionMessage {
  if (terminal === undefined) return { def: [], metadata: {} }
  return {
    def: [...vertexes.map((vertex) => vertex.bytes), terminal],
    metadata: Object.fromEntries(
      vertexes.map(({ digest, metadata: { name, ignoreCache = false } }) => [
        digest,
        { ignoreCache, description: name === undefined ? {} : { 'llb.customname': name } },
      ]),
    ),
  }
}

/** The command that the vertex with this digest runs, if it is a run and in this graph. */
export function commandOf(definition: Definition, digest: string): readonly string[] | undefined {
  const vertex = definition.vertexes.find((candidate) => candidate.digest === digest)
  if (vertex === undefined) return undefined
  const { op } = fromBinary(OpSchema, vertex.bytes)
  return op.case === 'exec' ? op.value.meta?.args : undefined
}
