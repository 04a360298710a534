import { LogTail } from '../progress/lines.ts'
import type { SolveStatus, SolveVertex } from '../progress/status.ts'

const TAIL_LINES = 30

/** Remembers just enough of a solve to explain its failure. */
export class SolveTrace {
  readonly #failed: SolveVertex[] = []
  readonly #tails = new Map<string, LogTail>()
  #heard = false

  /** Whether the engine told anything at all. */
  get heard(): boolean {
    return this.#heard
  }

  observe({ vertexes, logs }: SolveStatus): void {
    this.#heard = true
    for (const log of logs) {
      const tail = this.#tails.get(log.vertex) ?? new LogTail(TAIL_LINES)
      tail.push(log)
      this.#tails.set(log.vertex, tail)
    }
    for (const vertex of vertexes) {
      if (vertex.error !== undefined) this.#failed.push(vertex)
      else if (vertex.completedAtMs !== undefined) this.#tails.delete(vertex.digest)
    }
  }

  /** The step that the solve failed with `message` because of. Others may have failed only because that one did. */
  culprit(message: string): SolveVertex | undefined {
    return (
      this.#failed.find(({ error }) => error !== undefined && message.includes(error)) ??
      this.#failed.find(({ error }) => error !== undefined && !error.includes('context canceled'))
    )
  }

  tailOf(digest: string): string[] {
    return this.#tails.get(digest)?.lines ?? []
  }
}
