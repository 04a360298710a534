import { abortable, abortableWithCallback, type TestFunction } from '../worker/index.ts'
import type { DescribeBlock } from './jest-types.ts'

/**
 * Makes every test of a file end when a VM that it needs is gone, and what comes before it. What comes after, stays: a test may
 * have more to clean up than its VM.
 * @param vmsOf the VMs that a test cannot do without, by its full name
 */
export function makeTestsAbortable(
  block: DescribeBlock,
  vmsOf: (fullName: string) => readonly AbortSignal[],
  parents: readonly string[] = [],
): void {
  const names = (name: string) => [...parents, name].join(' > ')
  for (const hook of block.hooks) {
    if (hook.type === 'beforeAll' || hook.type === 'beforeEach') makeAbortable(hook, vmsOf(parents.join(' > ')))
  }
  for (const child of block.children) {
    if (child.type === 'test') makeAbortable(child, vmsOf(names(child.name)))
    else makeTestsAbortable(child, vmsOf, [...parents, child.name])
  }
}

function makeAbortable(holder: { fn?: TestFunction }, vms: readonly AbortSignal[]): void {
  const { fn } = holder
  // Jest runs generators as it did before there were promises. They are rare, and have their timeout.
  if (vms.length === 0 || fn === undefined || fn.constructor.name === 'GeneratorFunction') return
  holder.fn = fn.length > 0 ? abortableWithCallback(fn, vms) : abortable(fn, vms)
}
