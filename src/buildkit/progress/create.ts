import type { ProgressDisplay, Write } from './display.ts'
import { PlainDisplay } from './plain.ts'
import { QuietDisplay } from './quiet.ts'
import { RawJsonDisplay } from './rawjson.ts'
import { TtyDisplay, type TtyOptions } from './tty/display.ts'
import type { Terminal } from './tty/terminal.ts'

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
