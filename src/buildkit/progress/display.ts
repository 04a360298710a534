import type { SolveStatus } from './status.ts'

/** Shows people what solves do. One display may take the statuses of several, also at the same time. */
export interface ProgressDisplay {
  update(status: SolveStatus): void
  /** Writes a line of somebody else's, without its line end, where it does not disturb what is shown. */
  print(line: string): void
  /** Shows what is left to show and lets go of the terminal. Updates that come later are ignored. */
  end(): void
}

export type Write = (text: string) => void
