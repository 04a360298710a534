import type { Readable } from 'node:stream'
import type { Logger } from '../../log/index.ts'
import type { KernelEntry } from '../../options/index.ts'
import type { Accelerator } from '../../qemu/index.ts'
import type { TemplateLocation } from '../../template/index.ts'
import type { Host } from '../host.ts'
import type { Timeline } from '../timeline.ts'

export interface BootOptions {
  readonly host: Host
  readonly entry: KernelEntry
  readonly image: string
  readonly accelerator: Accelerator
  /** What the guest calls itself. */
  readonly hostname: string
  readonly timeline: Timeline
  /** `allowed`: the guest will be stopped, and answers nothing then. @default 'lost': one that is silent for a minute is lost */
  readonly silence?: 'allowed' | 'lost'
  /** Gets what the VM's console says, line by line. */
  readonly logConsumer?: LogConsumer | undefined
  readonly log: Logger
  readonly signal: AbortSignal
}

/** Takes a stream of strings, each a line of a guest's console. Called for each VM, before its first line. */
export type LogConsumer = (lines: Readable) => unknown

/** How a guest gets to run: from its kernel's first instruction, or from where a template was saved. */
export type Beginning = { readonly kind: 'cold' } | { readonly kind: 'restore'; readonly template: TemplateLocation }
