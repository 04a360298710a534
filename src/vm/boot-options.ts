import type { Logger } from '../log/index.ts'
import type { KernelEntry } from '../options/index.ts'
import type { Accelerator } from '../qemu/index.ts'
import type { Host } from './host.ts'
import type { Timeline } from './timeline.ts'

export interface BootOptions {
  readonly host: Host
  readonly entry: KernelEntry
  readonly image: string
  readonly accelerator: Accelerator
  readonly timeline: Timeline
  readonly log: Logger
  readonly signal: AbortSignal
}
