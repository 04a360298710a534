import { EventEmitter } from 'node:events'
import { reasonOf } from '../errors/index.ts'
import { type KernelReport, ReportCutter, slownessKinds } from '../kernel-log/index.ts'
import { orAborted, startDeadline } from '../lifetime/index.ts'
import type { Logger } from '../log/index.ts'
import { type KernelEntry, kernelText, type ReportVerdict } from '../options/index.ts'
import type { Accelerator, KernelLogBatch, KernelLogPort } from '../qemu/index.ts'
import { KernelReportedError } from './errors.ts'

/** A report of the kernel of a VM, and what its entry makes of it. */
export interface VmKernelReport extends KernelReport {
  /** What it does to the test during which it came: `kernelReports` of the entry. */
  readonly verdict: ReportVerdict
  /** Why it is allowed, where it is: then the verdict is to ignore it. */
  readonly allowed?: string
}

export interface KernelReportsParts {
  readonly entry: KernelEntry
  readonly accelerator: Accelerator['kind']
  readonly port: KernelLogPort
  readonly log: Logger
  /** Gives a report's block with the places in the source that it is about. @default nobody knows them */
  readonly locate?: (block: string, signal: AbortSignal) => Promise<string>
}

/** A title that comes again is no news; a kernel that has so many has said what is wrong with it. */
const MOST_TITLES = 100
/** A guest that does not answer by then is busy, or gone. */
const SETTLE_DEADLINE_MS = 5_000
const SILENT = `the guest did not say within ${SETTLE_DEADLINE_MS / 1000} s what its kernel said: a report may come when its test is over`
/** A kernel that is still printing a report has printed it by then. */
const REPORT_DEADLINE_MS = 1_000
const BETWEEN_LOOKS_MS = 20
/** From when a report came; then it is told without its places. Reading debug information takes seconds. */
const LOCATE_DEADLINE_MS = 60_000

/** What the kernel of one VM reported, each title once. */
export class KernelReports {
  readonly #parts: KernelReportsParts
  readonly #cutter = new ReportCutter()
  readonly #reports: VmKernelReport[] = []
  /** What a kernel says again after its boot is not the boot's. */
  readonly #titles = { ofBoot: new Set<string>(), later: new Set<string>() }
  readonly #events = new EventEmitter<{ report: [VmKernelReport] }>().setMaxListeners(0)
  readonly #warned = new Set<string>()
  #through = 0
  #isBooting = true
  /** Undefined when it failed: the next would wait for it in vain. */
  #locate: KernelReportsParts['locate']
  readonly #closed = new AbortController()
  /** Those whose places are being looked up, each after the one before. */
  #telling: Promise<void> = Promise.resolve()
  #untold = 0

  constructor(parts: KernelReportsParts) {
    this.#parts = parts
    this.#locate = parts.locate
  }

  /** Until now, in order. */
  get all(): readonly VmKernelReport[] {
    return this.#reports
  }

  /** Sequence number of the last line that the guest's agent has read. */
  get through(): number {
    return this.#through
  }

  /** Calls the listener at each report that comes from now on, until what it returns is disposed. */
  onReport(listener: (report: VmKernelReport) => void): Disposable {
    this.#events.on('report', listener)
    return { [Symbol.dispose]: () => void this.#events.off('report', listener) }
  }

  /** Hears the kernel. What it says while it boots fails nobody: no test caused it, and a clone's was said in its template. */
  follow(from: 'boot' | 'now'): void {
    this.#isBooting = from === 'boot'
    this.#parts.port.follow(from, this.#take)
  }

  /** The boot is over. */
  booted(): void {
    this.#isBooting = false
  }

  /**
   * Resolves when everything is known that the kernel has said until now; within five seconds in any case, for a guest that does not
   * answer reports nothing either. Where reports are told with their places, these are waited for a minute more at the most.
   * @param onHeard called when the guest has said what it had to say until now: what is told from then on may have come since
   * @returns whether the guest answered
   */
  async settle(signal: AbortSignal, onHeard?: () => void): Promise<boolean> {
    const hasAnswered = await this.#hear(signal, onHeard)
    if (!hasAnswered && !signal.aborted) this.#warnOnce('silent', SILENT)
    await this.#telling
    return hasAnswered
  }

  /** What waits for its places is told without them. */
  async close(): Promise<void> {
    this.#closed.abort(new Error('the VM was stopped'))
    await this.#telling
  }

  async #hear(signal: AbortSignal, onHeard?: () => void): Promise<boolean> {
    using deadline = startDeadline({
      ms: SETTLE_DEADLINE_MS,
      signal,
      onPassed: () => new Error('the guest did not say what its kernel said'),
    })
    try {
      await this.#parts.port.drain(this.#take, deadline.signal)
      onHeard?.()
      await this.#endOfReport(deadline.signal)
      return true
    } catch (thrown) {
      if (deadline.signal.aborted) return false
      throw thrown
    }
  }

  /** A report that has begun is waited for, and then taken as it is. */
  async #endOfReport(signal: AbortSignal): Promise<void> {
    const endMs = performance.now() + REPORT_DEADLINE_MS
    while (this.#cutter.isOpen && performance.now() < endMs) {
      await orAborted(new Promise((resolve) => setTimeout(resolve, BETWEEN_LOOKS_MS)), signal)
      await this.#parts.port.drain(this.#take, signal)
    }
    for (const report of this.#cutter.flush()) this.#add(report)
  }

  readonly #take = ({ records, through, overwritten, leftOut }: KernelLogBatch): void => {
    this.#tellMissing({ overwritten, leftOut })
    for (const record of records) for (const report of this.#cutter.push(record)) this.#add(report)
    this.#through = through
  }

  #tellMissing({ overwritten, leftOut }: Pick<KernelLogBatch, 'overwritten' | 'leftOut'>): void {
    const { log } = this.#parts
    const after = this.#through > 0 ? ` after number ${this.#through}` : ''
    if (overwritten > 0) {
      const what = `the kernel wrote over ${overwritten} lines of its log${after} before they were read: a report may be missing`
      this.#warnOnce('missing', what)
    }
    if (leftOut > 0)
      log.debug(
        `the kernel says so much that ${leftOut} lines of its log${after} were left out; those of reports are not`,
      )
  }

  /** What else such a guest has to say of that is for who looks for it. */
  #warnOnce(about: string, what: string): void {
    if (this.#warned.has(about)) this.#parts.log.debug(what)
    else this.#parts.log.warn(what)
    this.#warned.add(about)
  }

  #add(report: KernelReport): void {
    const { entry, accelerator } = this.#parts
    const titles = this.#isBooting ? this.#titles.ofBoot : this.#titles.later
    if (titles.has(report.title)) return
    if (titles.size >= MOST_TITLES) {
      this.#warnOnce('titles', `the kernel has reported ${MOST_TITLES} things; what else it reports is left out`)
      return
    }
    titles.add(report.title)
    const judged = { ...report, ...judge(report, entry, { accelerator, isBooting: this.#isBooting }) }
    const when = this.#isBooting ? ' as it booted' : ''
    if (this.#locate === undefined && this.#untold === 0) this.#tell(judged, when)
    else this.#tellWithPlaces(judged, when)
  }

  #tellWithPlaces(report: VmKernelReport, when: string): void {
    const deadline = startDeadline({
      ms: LOCATE_DEADLINE_MS,
      signal: this.#closed.signal,
      onPassed: () => new Error(`it took more than ${LOCATE_DEADLINE_MS / 1000} s`),
    })
    this.#untold++
    this.#telling = this.#telling.then(async () => {
      const block = await this.#withPlaces(report.block, deadline.signal)
      deadline[Symbol.dispose]()
      this.#untold--
      this.#tell({ ...report, block }, when)
    })
  }

  async #withPlaces(block: string, signal: AbortSignal): Promise<string> {
    try {
      return (await this.#locate?.(block, signal)) ?? block
    } catch (thrown) {
      this.#locate = undefined
      const { log } = this.#parts
      if (!this.#closed.signal.aborted)
        log.warn(`where in its source the kernel reports something cannot be said: ${reasonOf(thrown)}`)
      return block
    }
  }

  #tell(report: VmKernelReport, when: string): void {
    const { log } = this.#parts
    this.#reports.push(report)
    if (report.verdict === 'ignore') log.debug(`the kernel reported${when}, which is ignored: ${report.title}`)
    else log.warn(`the kernel reported${when}: ${report.title}`)
    try {
      this.#events.emit('report', report)
    } catch (thrown) {
      // What a listener throws is its own: it holds up no other report, and is no fault of the guest's.
      queueMicrotask(() => {
        throw thrown
      })
    }
  }
}

interface Circumstances {
  readonly accelerator: Accelerator['kind']
  readonly isBooting: boolean
}

/** What an entry makes of a report. */
export function judge(
  { kind, title, headline }: Pick<KernelReport, 'kind' | 'title' | 'headline'>,
  { kernelReports }: Pick<KernelEntry, 'kernelReports'>,
  { accelerator, isBooting }: Circumstances,
): Pick<VmKernelReport, 'verdict' | 'allowed'> {
  const gentle = (verdict: ReportVerdict): ReportVerdict => (isBooting && verdict === 'fail' ? 'warn' : verdict)
  if (typeof kernelReports === 'string') return { verdict: gentle(kernelReports) }
  const { allow = [], ...lists } = kernelReports
  const known = allow.find(({ pattern }) => new RegExp(pattern).test(title) || new RegExp(pattern).test(headline))
  if (known !== undefined) return { verdict: 'ignore', allowed: known.reason }
  const named = (['fail', 'warn', 'ignore'] as const).find((verdict) => lists[verdict]?.includes(kind))
  const byDefault = accelerator === 'tcg' && slownessKinds.includes(kind) ? 'warn' : 'fail'
  return { verdict: gentle(named ?? byDefault) }
}

/** The error of what a report fails. @param during when it came, to stand behind the kernel's name */
export function reportedError(report: KernelReport, entry: KernelEntry, during = ''): KernelReportedError {
  return new KernelReportedError({
    what: `the kernel reported ${report.title} on ${kernelText(entry.kernel)}, cgroup v${entry.cgroup}${during}`,
    entry: entry.name,
    remedy:
      "read its block below; what is known and nobody's fault is allowed by kernelReports: { allow: [{ pattern, reason }] }",
    output: report.block,
  })
}
