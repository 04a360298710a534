import { constants } from 'node:os'
import { formatError, TestkernelsError } from '../errors/index.ts'
import { waits } from '../lifetime/index.ts'

/**
 * Exit status when testkernels itself failed, as `docker run` has it: a command's own status is passed on, and must be
 * told apart.
 */
export const EXIT_OWN_FAILURE = 125

/** The user or the system asked us to end. */
export class InterruptedError extends TestkernelsError {
  readonly code = 'INTERRUPTED'
  readonly exitCode: number

  constructor(signal: NodeJS.Signals) {
    super({ what: `ended by ${signal}`, remedy: 'start it again' })
    this.exitCode = exitCodeOf(signal)
  }
}

/** 128 and the signal's number, as shells have it. */
export function exitCodeOf(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal]
}

/** What ends in an orderly way has ended by then, on a machine at rest. */
const ORDERLY_MS = 8_000

/**
 * Aborts at the first SIGINT, SIGTERM or SIGHUP, so that all is ended in order; the second one ends this process. What takes long is
 * told by its name.
 */
export function exitOnSignals(report: (line: string) => void): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      // The engine ends the VMs all the same.
      if (controller.signal.aborted) process.exit(exitCodeOf(name))
      controller.abort(new InterruptedError(name))
      setTimeout(() => report(stillEnding(waits())), ORDERLY_MS).unref()
    })
  }
  return controller.signal
}

export function stillEnding(waits: readonly string[]): string {
  const what = waits.map((wait) => `\n  waiting for ${wait}`).join('')
  return `still ending; once more ends at once${what}`
}

/**
 * Does the work of a command and tells how it failed. A user who pressed Ctrl-C knows why it ended and gets no error, whichever
 * step it hit.
 * @returns the status to exit with
 */
export async function exitStatusOf(
  work: () => Promise<number>,
  { signal, report }: { readonly signal?: AbortSignal; readonly report: (line: string) => void },
): Promise<number> {
  try {
    return await work()
  } catch (thrown) {
    if (signal?.aborted && signal.reason instanceof InterruptedError) return signal.reason.exitCode
    report(formatError(thrown))
    return EXIT_OWN_FAILURE
  }
}
