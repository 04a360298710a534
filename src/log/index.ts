import { visible } from '../errors/index.ts'

export {
  CUT_MARK,
  followLines,
  type LineLimit,
  LineSplitter,
  LineTooLongError,
  LONGEST_LINE,
  readLines,
  readText,
} from './lines.ts'

/** Where lines for people go. Injected everywhere; nothing below the adapters writes to a stream by itself. */
export interface Logger {
  /** What a user wants to see in every run. */
  info(line: string): void
  /** What a user must see: a fallback that was taken, a file that was ignored. */
  warn(line: string): void
  /** What helps to find a fault; shown with `--debug` or `TESTKERNELS_DEBUG=1`. */
  debug(line: string): void
  /** The same logger, each line prefixed with `[name] `. */
  named(name: string): Logger
}

export interface LoggerOptions {
  /** Takes one line without its line end. */
  readonly write: (line: string) => void
  /** @default 'info' */
  readonly level?: 'info' | 'debug'
}

/** Lines may quote guests, engines and builds: what in them would do something to a terminal is made visible. */
export function createLogger({ write: writeLine, level = 'info' }: LoggerOptions): Logger {
  const write = (line: string) => writeLine(visible(line))
  const at = (prefix: string): Logger => ({
    info: (line) => write(prefix + line),
    warn: (line) => write(`${prefix}warning: ${line}`),
    debug: (line) => {
      if (level === 'debug') write(`${prefix}${line}`)
    },
    named: (name) => at(`${prefix}[${name}] `),
  })
  return at('')
}

export const silentLogger: Logger = createLogger({ write: () => {} })
