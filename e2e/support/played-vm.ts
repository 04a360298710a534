import { EventEmitter } from 'node:events'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { type KernelReportsOption, parseKernelEntry } from '../../src/options/index.ts'
import type { VmKernelReport } from '../../src/vm/index.ts'

/** A VM that is none: its kernel reports what is in a file, once it is asked. */
export class PlayedVm {
  readonly entry
  readonly gone = new AbortController().signal
  readonly kernelReports: VmKernelReport[] = []
  readonly #provoke: string
  readonly #events = new EventEmitter<{ report: [VmKernelReport] }>()
  kernelLogPosition = 0
  settles = 0
  /** How often it was asked for what it has lost, and what that takes. */
  looks = 0
  looking: Promise<unknown> | undefined

  /** @param provoke the file */
  constructor(provoke: string, name = 'fake', kernelReports: KernelReportsOption = {}) {
    this.#provoke = provoke
    this.entry = parseKernelEntry(name, { kernel: 'debian:trixie', kernelReports })
  }

  onKernelReport(listener: (report: VmKernelReport) => void): Disposable {
    this.#events.on('report', listener)
    return { [Symbol.dispose]: () => void this.#events.off('report', listener) }
  }

  async findMemoryLeaks(): Promise<readonly VmKernelReport[]> {
    this.looks++
    await this.looking
    return await this.settleKernelReports()
  }

  async settleKernelReports(): Promise<readonly VmKernelReport[]> {
    this.settles++
    if (!existsSync(this.#provoke)) return []
    const title = readFileSync(this.#provoke, 'utf8')
    rmSync(this.#provoke)
    const sequence = this.kernelLogPosition + 1
    const report = { kind: 'bug', title, headline: title, block: title, sequence, uptimeS: 1, verdict: 'fail' } as const
    this.kernelReports.push(report)
    this.#events.emit('report', report)
    this.kernelLogPosition = sequence
    return [report]
  }
}
