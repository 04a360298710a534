// Setup file: a kernel that was told to do nothing wrong reports nothing, in no test. VMs of the test's own are looked at when they end,
// and programs of ours by what they print.
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { afterEach, beforeAll, expect } from 'vitest'

/** src/vm/kernel-reports.ts writes it. */
const ALARM = /^.*the kernel reported.*$/gm
/** What a machine causes whose VMs are stopped and whose clocks jump (src/kernel-log/kinds.ts). */
const OF_SLOWNESS = /(?:soft lockup|hard lockup|workqueue lockup|RCU stall|hung task)/

const heard = { alarms: [] as string[], expected: 'none' as 'none' | 'of slowness' | 'all' }

/** Looks for reports of kernels in what was printed: the test in which it was fails by them. */
export function lookForAlarms(output: string): void {
  heard.alarms.push(...(stripVTControlCharacters(output).match(ALARM) ?? []))
}

/** For a test file that has kernels report something. */
export function expectKernelReports(): void {
  heard.expected = 'all'
}

/** For a test file that takes a guest its processor or its time. */
export function expectSlowKernels(): void {
  heard.expected = 'of slowness'
}

// Test files that have no VM of their own do not wait for the package to be loaded; of the others it is there already.
beforeAll(async () => {
  const { testPath } = expect.getState()
  if (testPath === undefined) throw new Error('Vitest does not say which test file it runs')
  if (heard.expected !== 'all' && importsPackage(testPath, new Set())) await listenToVms()
})

afterEach(() => {
  const alarms = heard.alarms.splice(0)
  if (heard.expected === 'all') return
  const unexpected = alarms.filter((alarm) => heard.expected === 'none' || !OF_SLOWNESS.test(alarm))
  expect(unexpected, 'reports of kernels that nobody provoked').toEqual([])
})

/** By itself, or by what it imports of ours. */
function importsPackage(path: string, seen: Set<string>): boolean {
  seen.add(path)
  const text = readFileSync(path, 'utf8')
  if (/^(?:import|\}) .*from 'testkernels'$/m.test(text)) return true
  const imported = [...text.matchAll(/ from '(\.[^']*\.ts)'/g)].map(([, to = '']) => join(dirname(path), to))
  return imported.some((file) => file.includes('/e2e/') && !seen.has(file) && importsPackage(file, seen))
}

async function listenToVms(): Promise<void> {
  const { StartedKernelVm } = await import('testkernels')
  const stop = Object.getOwnPropertyDescriptor(StartedKernelVm.prototype, 'stop')?.value as () => Promise<void>
  const stopping = new WeakMap<object, Promise<void>>()
  StartedKernelVm.prototype.stop = function () {
    const listenAndStop = async () => {
      // What its kernel said last is still on its way.
      if (!this.gone.aborted) await this.settleKernelReports()
      heard.alarms.push(...this.kernelReports.map(({ title, block }) => `${this.entry.name}: ${title}: ${block}`))
      await stop.call(this)
    }
    const stopped = stopping.get(this) ?? listenAndStop()
    stopping.set(this, stopped)
    return stopped
  }
}
