import { mortal, mortalWithCallback, type TestFunction } from '../worker/index.ts'
import type { DescribeBlock } from './jest-types.ts'

/**
 * Makes every test of a file end when a VM that it needs is gone, and what comes before it. What comes after, stays: a test may
 * have more to clean up than its VM.
 * @param vmsOf the VMs that a test cannot do without, by its full name
 */
export function makeTestsMortal(
  block: DescribeBlock,
  vmsOf: (fullName: string) => readonly AbortSignal[],
  parents: readonly string[] = [],
): void {
  const names = (name: string) => [...parents, name].join(' > ')
  for (const hook of block.hooks) {
    if (hook.type === 'beforeAll' || hook.type === 'beforeEach') makeMortal(hook, vmsOf(parents.join(' > ')))
  }
  for (const child of block.children) {
    if (child.type === 'test') makeMortal(child, vmsOf(names(child.name)))
    else makeTestsMortal(child, vmsOf, [...parents, child.name])
  }
}

function makeMortal(holder: { fn?: TestFunction }, vms: readonly AbortSignal[]): void {
  const { fn } = holder
  // Jest runs generators as it did before there were promises. They are rare, and have their timeout.
  if (vms.length === 0 || fn === undefined || fn.constructor.name === 'GeneratorFunction') return
  holder.fn = fn.length > 0 ? mortalWithCallback(fn, vms) : mortal(fn, vms)
}
