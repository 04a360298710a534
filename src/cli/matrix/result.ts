/** How the command ended for one entry. */
export interface EntryResult {
  readonly entry: string
  /** The kernel, as the user named it. */
  readonly kernel: string
  readonly outcome: Outcome
  /** From the start of the VM to its end, in milliseconds. */
  readonly ms: number
}

export type Outcome =
  | { readonly kind: 'exited'; readonly status: number }
  /** The VM did not start, or died; `why` in one line. */
  | { readonly kind: 'vm-failed'; readonly why: string }
  /** The run was ended before. */
  | { readonly kind: 'not-run' }

export function isPassed({ outcome }: Pick<EntryResult, 'outcome'>): boolean {
  return outcome.kind === 'exited' && outcome.status === 0
}

/** A table for people: entry, kernel, result, time. */
export function summaryLines(results: readonly EntryResult[]): string[] {
  const rows = results.map(({ entry, kernel, outcome, ms }) => [entry, kernel, seconds(ms), resultText(outcome)])
  const table = [['entry', 'kernel', 'time', 'result'], ...rows]
  const widths = [0, 1, 2].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)))
  return table.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
}

function resultText(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'exited':
      return outcome.status === 0 ? 'passed' : `failed with status ${outcome.status}`
    case 'vm-failed':
      return `failed: ${outcome.why}`
    case 'not-run':
      return 'not run'
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
