import type { Command } from 'commander'
import { exitOnSignals, exitStatusOf } from './exit.ts'
import { openTerminal, type Terminal } from './terminal.ts'

/** What the work of a command gets beside its options. */
export interface Working extends Terminal {
  /** Aborts at Ctrl-C. */
  readonly signal: AbortSignal
}

/**
 * Does the work of a command with a terminal of its own. Sets the exit status, and lets the process end by itself: what still
 * runs then is a leak that shows.
 */
export async function execute(command: Command, work: (working: Working) => Promise<number>): Promise<void> {
  const { debug, progress } = command.optsWithGlobals()
  const signal = exitOnSignals()
  const report = (line: string) => void process.stderr.write(`${line}\n`)
  process.exitCode = await exitStatusOf(
    async () => {
      const terminal = openTerminal({ debug: debug === true, progress })
      try {
        return await work({ ...terminal, signal })
      } finally {
        terminal.progress.end()
      }
    },
    { signal, report },
  )
}
