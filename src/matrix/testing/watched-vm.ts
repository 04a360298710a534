import { EventEmitter } from 'node:events'
import { type KernelReportsOption, parseKernelEntry } from '../../options/index.ts'
import type { VmKernelReport } from '../../vm/index.ts'

/** A VM whose kernel says what a test has it say; what it said is known when somebody settles. */
export class WatchedVm {
  readonly entry
  readonly gone = new AbortController().signal
  readonly events = new EventEmitter<{ report: [VmKernelReport]; settle: [] }>()
  readonly kernelReports: VmKernelReport[] = []
  kernelLogPosition = 0
  settles = 0
  /** What it has lost, or why it cannot look for it. */
  lost: string | Error | undefined
  #coming: VmKernelReport[] = []

  constructor(kernelReports: KernelReportsOption) {
    this.entry = parseKernelEntry('v1', { kernel: 'debian:bookworm', kernelReports })
  }

  /** What the kernel prints now, and what is not heard yet. */
  report(title: string, verdict: VmKernelReport['verdict'] = 'fail', kind: VmKernelReport['kind'] = 'warning'): void {
    const sequence = this.kernelLogPosition + this.#coming.length + 1
    const report = { kind, title, headline: title, block: title, sequence, uptimeS: 1, verdict } as const
    this.#coming.push(report)
  }

  onKernelReport(listener: (report: VmKernelReport) => void): Disposable {
    this.events.on('report', listener)
    return { [Symbol.dispose]: () => void this.events.off('report', listener) }
  }

  async findMemoryLeaks(): Promise<readonly VmKernelReport[]> {
    if (this.lost instanceof Error) throw this.lost
    if (this.lost !== undefined) this.report(this.lost, 'fail', 'memory-leak')
    return await this.settleKernelReports()
  }

  /** For what a guest that has answered is waited. */
  waited: Promise<unknown> | undefined

  async settleKernelReports({ onHeard }: { readonly onHeard?: () => void } = {}): Promise<readonly VmKernelReport[]> {
    this.settles++
    for (const report of this.#coming.splice(0)) {
      this.kernelReports.push(report)
      this.events.emit('report', report)
      this.kernelLogPosition = report.sequence
    }
    onHeard?.()
    this.events.emit('settle')
    await this.waited
    return []
  }
}
