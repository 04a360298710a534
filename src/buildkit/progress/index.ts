export { createProgress, type ProgressOptions } from './create.ts'
export type { ProgressDisplay, SolveStatus, Write } from './status.ts'
export { formatBytes } from './text.ts'
export type { Terminal } from './tty-frame.ts'
