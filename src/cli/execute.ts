import { randomUUID } from 'node:crypto'
import { constants } from 'node:os'
import type { Command } from 'commander'
import { createProgress, type ProgressDisplay } from '../buildkit/progress/index.ts'
import { formatError, TestkernelsError } from '../errors/index.ts'
import { sayWhatKeeps } from '../lifetime/index.ts'
import { createLogger, type Logger } from '../log/index.ts'
import { type ProgressKind, readSettings, type Settings } from '../options/index.ts'

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
  await executePlainly(async (signal) => {
    const terminal = openTerminal({ debug: debug === true, progress })
    try {
      return await work({ ...terminal, signal })
    } finally {
      terminal.progress.end()
    }
  })
}

/** The same for work that says what it has to say itself. Its signal aborts at Ctrl-C. */
export async function executePlainly(work: (signal: AbortSignal) => Promise<number>): Promise<void> {
  const report = (line: string) => void process.stderr.write(`${line}\n`)
  const signal = exitOnSignals(report)
  process.exitCode = await exitStatusOf(() => work(signal), { signal, report })
}

export interface Terminal {
  readonly settings: Settings
  /** Lines for people; on standard error, because standard output is the command's. */
  readonly log: Logger
  readonly progress: ProgressDisplay
}

export interface TerminalOptions {
  readonly debug: boolean
  /** @default what the environment says */
  readonly progress?: ProgressKind | undefined
}

export function openTerminal({ debug, progress: kind }: TerminalOptions): Terminal {
  const settings = readSettings()
  const progress = openProgress(kind ?? settings.progress, settings)
  const log = createLogger({ write: (line) => progress.print(line), level: debug || settings.debug ? 'debug' : 'info' })
  return { settings, log, progress }
}

function openProgress(kind: ProgressKind, settings: Settings): ProgressDisplay {
  const mode = kind === 'auto' ? (process.stderr.isTTY ? 'tty' : 'plain') : kind
  if (mode === 'tty') {
    const colors = settings.environment['NO_COLOR'] ? 'off' : 'on'
    return createProgress({ mode, terminal: process.stderr, colors })
  }
  return createProgress({ mode, write: (text) => process.stderr.write(text) })
}

/** A step that is shown as those of builds are, once it has begun. What a command says is its log. */
export interface ShownStep extends Disposable {
  begin(): void
  stdout(line: string): void
  stderr(line: string): void
}

export function shownStep(name: string, progress: ProgressDisplay): ShownStep {
  const digest = `testkernels:${randomUUID()}`
  const none = { vertexes: [], statuses: [], logs: [], warnings: [] }
  let startedAtMs: number | undefined
  const tell = (completedAtMs?: number) =>
    progress.update({ ...none, vertexes: [{ digest, inputs: [], name, cached: false, startedAtMs, completedAtMs }] })
  const say = (stream: 'stdout' | 'stderr') => (line: string) => {
    const data = new TextEncoder().encode(`${line}\n`)
    progress.update({ ...none, logs: [{ vertex: digest, stream, data, timestampMs: Date.now() }] })
  }
  return {
    begin: () => {
      startedAtMs = Date.now()
      tell()
    },
    stdout: say('stdout'),
    stderr: say('stderr'),
    [Symbol.dispose]: () => {
      if (startedAtMs !== undefined) tell(Date.now())
    },
  }
}

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
      sayWhatKeeps((waits) => report(`still ending; once more ends at once${waits}`))
    })
  }
  return controller.signal
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
