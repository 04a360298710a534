import { createProgress, type ProgressDisplay } from '../buildkit/progress/index.ts'
import { createLogger, type Logger } from '../log/index.ts'
import { type ProgressKind, readSettings, type Settings } from '../options/index.ts'

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
