// Setup file: a kernel that was told to do nothing wrong reports nothing, in no test. VMs of the test's own are looked at when they end,
// and programs of ours by what they print.
import { stripVTControlCharacters } from 'node:util'
import { StartedKernelVm } from 'testkernels'
import { afterEach, expect } from 'vitest'

/** src/vm/kernel-reports.ts writes it. */
const ALARM = /^.*the kernel reported.*$/gm

const heard = { alarms: [] as string[], isExpected: false }

/** Looks for reports of kernels in what was printed: the test in which it was fails by them. */
export function lookForAlarms(output: string): void {
  heard.alarms.push(...(stripVTControlCharacters(output).match(ALARM) ?? []))
}

/** For a test file that has kernels report something. */
export function expectKernelReports(): void {
  heard.isExpected = true
}

const { stop } = StartedKernelVm.prototype
StartedKernelVm.prototype.stop = function () {
  heard.alarms.push(...this.kernelReports.map(({ block }) => `${this.entry.name}: ${block}`))
  return stop.call(this)
}

afterEach(() => {
  const alarms = heard.alarms.splice(0)
  if (!heard.isExpected) expect(alarms, 'reports of kernels that nobody provoked').toEqual([])
})
