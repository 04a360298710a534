import { type ErrorDetails, TestkernelsError } from '../../errors/index.ts'

export interface StepFailure {
  /** The step that failed, as progress shows it. */
  readonly vertex?: { readonly digest: string; readonly name: string } | undefined
  /** The command it ran, as one line. */
  readonly command?: string | undefined
  readonly exitCode?: number | undefined
  /** The last lines that the step wrote. */
  readonly logTail: readonly string[]
}

/** The engine could not make what the graph describes. */
export class SolveError extends TestkernelsError implements StepFailure {
  readonly code = 'SOLVE_FAILED'
  readonly vertex: StepFailure['vertex']
  readonly command: string | undefined
  readonly exitCode: number | undefined
  readonly logTail: readonly string[]

  constructor({ vertex, command, exitCode, logTail, ...details }: ErrorDetails & StepFailure) {
    super(details)
    this.vertex = vertex
    this.command = command
    this.exitCode = exitCode
    this.logTail = logTail
  }
}

/** The caller's signal aborted. The engine was told, and ended the steps that only this solve waited for. */
export class SolveCancelledError extends TestkernelsError {
  readonly code = 'SOLVE_CANCELLED'
}

/** A directory named for a cache of `type=local` cannot be read or written as one. */
export class CacheDirectoryError extends TestkernelsError {
  readonly code = 'CACHE_DIRECTORY'
}
