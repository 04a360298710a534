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

export function createLogger({ write, level = 'info' }: LoggerOptions): Logger {
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
