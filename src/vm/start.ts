import { randomBytes } from 'node:crypto'
import type { SolveStatus } from '../buildkit/progress/index.ts'
import { neverAborted } from '../lifetime/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'
import type { KernelEntry } from '../options/index.ts'
import { Timeline } from './timeline.ts'

/** One start of a VM: what tells it from the others of its plan, and goes with it through all its steps. */
export interface Start {
  /** What the guest calls itself. */
  readonly hostname: string
  readonly timeline: Timeline
  readonly log: Logger
  /** Calls the start off; what was started is ended. */
  readonly signal: AbortSignal
  /** Takes the steps of builds. */
  readonly onBuildStatus: (status: SolveStatus) => void
}

/** The part of a start that what comes before the VM needs: images are built without one as well. */
export type Preparation = Pick<Start, 'log' | 'signal' | 'onBuildStatus'>

export interface StartOptions {
  readonly hostname: string
  /** With what was done for this start before. @default nothing was */
  readonly timeline?: Timeline
  /** @default silent */
  readonly log?: Logger
  /** @default nobody calls it off */
  readonly signal?: AbortSignal | undefined
  /** @default nobody sees them */
  readonly onBuildStatus?: Start['onBuildStatus']
}

export function newStart(options: StartOptions): Start {
  const { hostname, timeline = new Timeline(), log = silentLogger, signal, onBuildStatus = () => {} } = options
  return { hostname, timeline, log, signal: signal ?? neverAborted(), onBuildStatus }
}

/** The start of another VM of the same entry, with a hostname of its own: `cgroupv1-3fa2c1`. */
export function cloneStart({ name }: KernelEntry, options: Pick<StartOptions, 'log' | 'signal'>): Start {
  const own = `-${randomBytes(3).toString('hex')}`
  return newStart({ ...options, hostname: name.slice(0, 63 - own.length) + own })
}
