export { createProgress, type ProgressOptions } from './create.ts'
export type { ProgressDisplay, Write } from './display.ts'
export type { SolveStatus } from './status.ts'
export type { Terminal } from './tty/terminal.ts'
