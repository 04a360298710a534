import type { SolveStatus, SolveVertex } from '../progress/status.ts'

export function statusOf(parts: Partial<SolveStatus>): SolveStatus {
  return { vertexes: [], statuses: [], logs: [], warnings: [], ...parts }
}

interface Moments extends Pick<Partial<SolveVertex>, 'cached' | 'error'> {
  /** Seconds. */
  readonly started?: number
  readonly completed?: number
}

/** What an engine tells of a vertex, whose name serves as its digest here. */
export function vertexOf(name: string, { started, completed, cached = false, error }: Moments): SolveStatus {
  const vertex: SolveVertex = {
    digest: name,
    inputs: [],
    name,
    cached,
    error,
    startedAtMs: started === undefined ? undefined : started * 1000,
    completedAtMs: completed === undefined ? undefined : completed * 1000,
  }
  return statusOf({ vertexes: [vertex] })
}

export function logOf(vertex: string, text: string, atSecond: number): SolveStatus {
  return statusOf({ logs: [{ vertex, stream: 'stdout', data: Buffer.from(text), timestampMs: atSecond * 1000 }] })
}
