import { PlainDisplay } from './plain.ts'
import { RawJsonDisplay } from './rawjson.ts'
import type { ProgressDisplay, Write } from './status.ts'
import { TtyDisplay, type TtyOptions } from './tty.ts'
import type { Terminal } from './tty-frame.ts'

export type { ProgressDisplay, SolveStatus, Write } from './status.ts'
export { formatBytes } from './text.ts'
export type { Terminal } from './tty-frame.ts'

export type ProgressOptions =
  | { readonly mode: 'plain' | 'rawjson' | 'quiet'; readonly write: Write }
  | ({ readonly mode: 'tty'; readonly terminal: Terminal } & TtyOptions)

/** The display for a mode. Where its text goes is the caller's choice. */
export function createProgress(options: ProgressOptions): ProgressDisplay {
  switch (options.mode) {
    case 'quiet':
      return new QuietDisplay(options.write)
    case 'plain':
      return new PlainDisplay(options.write)
    case 'rawjson':
      return new RawJsonDisplay(options.write)
    case 'tty':
      return new TtyDisplay(options.terminal, options)
  }
}

/** Shows nothing of a build: what went wrong is in the error. */
class QuietDisplay implements ProgressDisplay {
  readonly #write: Write

  constructor(write: Write) {
    this.#write = write
  }

  update(): void {}

  print(line: string): void {
    this.#write(`${line}\n`)
  }

  end(): void {}
}
