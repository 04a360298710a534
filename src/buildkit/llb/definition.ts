import { create, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf'
import { type DefinitionSchema, OpSchema } from '../gen/ops_pb.ts'
import { digestOf, type Output, toInput, type Vertex } from './vertex.ts'

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
