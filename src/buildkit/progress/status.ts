import type { Timestamp } from '@bufbuild/protobuf/wkt'
import type { StatusResponse } from '../gen/control_pb.ts'

/** What changed since the last one. A vertex comes again whenever it changes, in no particular order. */
export interface SolveStatus {
  readonly vertexes: readonly SolveVertex[]
  readonly statuses: readonly VertexStatus[]
  readonly logs: readonly VertexLog[]
  readonly warnings: readonly VertexWarning[]
}

/** One step of the solve. Times are milliseconds since 1970 by the engine's clock. */
export interface SolveVertex {
  readonly digest: string
  readonly inputs: readonly string[]
  readonly name: string
  readonly cached: boolean
  readonly startedAtMs?: number | undefined
  readonly completedAtMs?: number | undefined
  readonly error?: string | undefined
}

/** One countable part of a step, such as a layer being pulled. */
export interface VertexStatus {
  readonly id: string
  readonly vertex: string
  readonly name: string
  readonly current: number
  /** 0 when not known. */
  readonly total: number
  readonly timestampMs?: number | undefined
  readonly startedAtMs?: number | undefined
  readonly completedAtMs?: number | undefined
}

/** Output of a step, cut anywhere. */
export interface VertexLog {
  readonly vertex: string
  readonly stream: 'stdout' | 'stderr'
  readonly data: Uint8Array
  readonly timestampMs?: number | undefined
}

export interface VertexWarning {
  readonly vertex: string
  readonly short: string
  readonly detail: readonly string[]
  readonly url: string
}

export function toSolveStatus({ vertexes, statuses, logs, warnings }: StatusResponse): SolveStatus {
  const text = new TextDecoder()
  return {
    vertexes: vertexes.map(({ digest, inputs, name, cached, started, completed, error }) => ({
      digest,
      inputs,
      name,
      cached,
      startedAtMs: toMs(started),
      completedAtMs: toMs(completed),
      error: error === '' ? undefined : error,
    })),
    statuses: statuses.map(({ id, vertex, name, current, total, timestamp, started, completed }) => ({
      id,
      vertex,
      name,
      current: Number(current),
      total: Number(total),
      timestampMs: toMs(timestamp),
      startedAtMs: toMs(started),
      completedAtMs: toMs(completed),
    })),
    logs: logs.map(({ vertex, timestamp, stream, msg }) => ({
      vertex,
      stream: stream === 2n ? 'stderr' : 'stdout',
      data: msg,
      timestampMs: toMs(timestamp),
    })),
    warnings: warnings.map(({ vertex, short, detail, url }) => ({
      vertex,
      short: text.decode(short),
      detail: detail.map((line) => text.decode(line)),
      url,
    })),
  }
}

function toMs(timestamp: Timestamp | undefined): number | undefined {
  return timestamp === undefined ? undefined : Number(timestamp.seconds) * 1000 + timestamp.nanos / 1e6
}

/** Shows people what solves do. One display may take the statuses of several, also at the same time. */
export interface ProgressDisplay {
  update(status: SolveStatus): void
  /** Writes a line of somebody else's, without its line end, where it does not disturb what is shown. */
  print(line: string): void
  /** Shows what is left to show and lets go of the terminal. Updates that come later are ignored. */
  end(): void
}

export type Write = (text: string) => void
