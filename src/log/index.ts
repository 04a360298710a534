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

/** Makes lines of text that arrives cut anywhere. */
export class LineSplitter {
  #rest = ''

  /** The lines that the text completes, without their ends (`\n`; a `\r` before it stays). */
  push(text: string): string[] {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    return lines
  }

  /** What has no end yet. */
  get rest(): string {
    return this.#rest
  }

  /** Takes what has no end yet away, as a line. */
  flush(): string {
    const rest = this.#rest
    this.#rest = ''
    return rest
  }
}
