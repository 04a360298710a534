import type { SolveStatus, SolveVertex, VertexStatus } from './status.ts'

export type StepState = 'waiting' | 'running' | 'cached' | 'done' | 'failed' | 'cancelled'

/** What is known of one vertex by now. */
export interface Step {
  /** The number people see, from 1 in the order of starting. 0 while it waits. */
  readonly index: number
  readonly digest: string
  readonly name: string
  readonly state: StepState
  readonly error: string | undefined
  /** By id, in the order of appearance. */
  readonly statuses: ReadonlyMap<string, VertexStatus>
  /** Start of the present or last run. A vertex may run more than once: an image is resolved, and pulled later. */
  readonly startedAtMs: number | undefined
  /** Time of all runs that ended. */
  readonly ranMs: number
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
type MutableStep = Mutable<Omit<Step, 'statuses' | 'runs'>> & {
  readonly statuses: Map<string, VertexStatus>
  /** Ends by starts; undefined while it runs. Two solves that wait for one run tell the same times. */
  readonly runs: Map<number, number | undefined>
}

/** All steps of the solves that one display shows. Solves may share steps. */
export class StepModel {
  readonly #steps = new Map<string, MutableStep>()
  #started = 0

  /** Takes in what changed, and returns the steps that started or ended by it. */
  apply({ vertexes, statuses, logs }: SolveStatus): Set<Step> {
    const advanced = new Set<Step>()
    for (const vertex of vertexes) {
      const step = this.#at(vertex.digest)
      if (this.#advance(step, vertex)) advanced.add(step)
    }
    for (const status of statuses) this.#at(status.vertex).statuses.set(status.id, status)
    for (const { vertex } of logs) this.#at(vertex)
    return advanced
  }

  /** In the order of starting, those that wait left out. */
  get started(): Step[] {
    return [...this.#steps.values()].filter(({ index }) => index > 0).sort((a, b) => a.index - b.index)
  }

  get(digest: string): Step | undefined {
    return this.#steps.get(digest)
  }

  /** How many steps are known of, those that wait included. */
  get size(): number {
    return this.#steps.size
  }

  #at(digest: string): MutableStep {
    const known = this.#steps.get(digest)
    if (known !== undefined) return known
    const step: MutableStep = {
      index: 0,
      digest,
      name: digest,
      state: 'waiting',
      error: undefined,
      statuses: new Map(),
      startedAtMs: undefined,
      ranMs: 0,
      runs: new Map(),
    }
    this.#steps.set(digest, step)
    return step
  }

  #advance(step: MutableStep, vertex: SolveVertex): boolean {
    // A run without a name has its command for one, which may be a script of many lines.
    step.name = vertex.name.replaceAll(/\s+/g, ' ').trim()
    const { startedAtMs, completedAtMs } = vertex
    if (startedAtMs === undefined) return false
    const isNewRun = !step.runs.has(startedAtMs)
    const isNewEnd = completedAtMs !== undefined && step.runs.get(startedAtMs) === undefined
    if (!isNewRun && !isNewEnd) return false
    // A second solve that finds the result of the first one tells of it as cached.
    if (isNewRun && vertex.cached && step.index > 0) return false
    if (step.index === 0) {
      this.#started += 1
      step.index = this.#started
    }
    step.runs.set(startedAtMs, completedAtMs)
    step.startedAtMs = startedAtMs
    step.error = vertex.error
    const runs = [...step.runs]
    step.ranMs = runs.reduce((sum, [start, end]) => sum + (end === undefined ? 0 : end - start), 0)
    step.state = runs.some(([, end]) => end === undefined) ? 'running' : stateOf(vertex)
    return true
  }
}

function stateOf({ cached, error }: SolveVertex): StepState {
  if (error !== undefined) return error.includes('context canceled') ? 'cancelled' : 'failed'
  return cached ? 'cached' : 'done'
}
