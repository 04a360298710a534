import { createProgress, type ProgressDisplay } from '../buildkit/index.ts'
import { createLogger, type Logger } from '../log/index.ts'
import { readSettings, type Settings } from '../options/index.ts'

export interface Terminal {
  readonly settings: Settings
  /** Lines for people; on standard error, because standard output is the command's. */
  readonly log: Logger
  readonly progress: ProgressDisplay
}

export function openTerminal({ debug }: { readonly debug: boolean }): Terminal {
  const settings = readSettings()
  const log = createLogger({
    write: (line) => process.stderr.write(`${line}\n`),
    level: debug || settings.debug ? 'debug' : 'info',
  })
  return { settings, log, progress: createProgress({ mode: 'plain', write: (text) => process.stderr.write(text) }) }
}
