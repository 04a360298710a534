import { orAborted } from '../lifetime/index.ts'
import type { ProvidedKernel, Scope } from './fate.ts'
import type { LeasedVm } from './lease-vms.ts'

// biome-ignore lint/suspicious/noExplicitAny: a test runner's functions take what they take
export type TestFunction = (this: any, ...args: any[]) => unknown

type VmAtHand = Pick<LeasedVm, 'gone'>

/**
 * The same function, which ends when a VM that it needs is gone: with the reason, at once, and without being called when the VM
 * was gone before.
 */
export function abortable<F extends TestFunction>(run: F, vms: readonly VmAtHand[]): F {
  if (vms.length === 0) return run
  const wrapped = async function (this: unknown, ...args: unknown[]) {
    const gone = goneOf(vms)
    gone.throwIfAborted()
    return await orAborted(Promise.resolve(run.apply(this, args)), gone)
  }
  return sameShape(wrapped as F, run)
}

/** The same for a function that says by calling back that it is done. */
export function abortableWithCallback<F extends TestFunction>(run: F, vms: readonly VmAtHand[]): F {
  const wrapped = function (this: unknown, done: TestFunction) {
    const gone = goneOf(vms)
    if (gone.aborted) return void done(gone.reason)
    const fail = () => done(gone.reason)
    gone.addEventListener('abort', fail, { once: true })
    const finish = (...args: unknown[]) => {
      gone.removeEventListener('abort', fail)
      if (!gone.aborted) done(...args)
    }
    return run.call(this, Object.assign(finish, done))
  }
  return sameShape(wrapped as F, run)
}

/** Of the VMs that tests are on at this moment: a test that is tried again may be on others. */
function goneOf(vms: readonly VmAtHand[]): AbortSignal {
  return AbortSignal.any(vms.map(({ gone }) => gone))
}

/** Runners look at how many parameters a function has, and put marks on it. */
function sameShape<F extends TestFunction>(wrapped: F, run: F): F {
  Object.defineProperty(wrapped, 'length', { value: run.length })
  return Object.assign(wrapped, run)
}

/**
 * The VMs that a test cannot do without: its project's own; in a suite those whose entry is named in the test's full name, as in
 * `describe.each(kernels())('on $name', ...)`.
 */
export function neededBy<K extends Pick<ProvidedKernel, 'name'>>(
  fullName: string,
  { scope, kernels }: { readonly scope: Scope; readonly kernels: readonly K[] },
): readonly K[] {
  return scope === 'project' ? kernels : kernels.filter(({ name }) => wordOf(name).test(fullName))
}

/** Says that a test failed of the VMs that it needs; of all that its file has where it names none, as what is around tests does. */
export function noteFailureOf(
  fullName: string,
  file: { readonly scope: Scope; readonly kernels: readonly Pick<LeasedVm, 'name' | 'noteFailure'>[] },
): void {
  const needed = neededBy(fullName, file)
  for (const vm of needed.length > 0 ? needed : file.kernels) vm.noteFailure()
}

/** What tests of a suite are told under in a report that are of no entry alone. */
const ANY_ENTRY = 'any'

/**
 * Where a report of the run has a test: on which entries, and by which name. Tests of a suite that differ in nothing but the entry that they
 * are of are one there, with `$name` in place of it, as `describe.each(kernels())` has it.
 */
export function placeOf(
  fullName: string,
  { scope, kernels }: { readonly scope: Scope; readonly kernels: readonly Pick<ProvidedKernel, 'name'>[] },
): { readonly name: string; readonly entries: readonly string[] } {
  const entries = neededBy(fullName, { scope, kernels }).map(({ name }) => name)
  const [entry, ...more] = entries
  if (entry === undefined) return { name: fullName, entries: [ANY_ENTRY] }
  const isOne = scope === 'suite' && more.length === 0
  return { name: isOne ? fullName.replace(wordOf(entry), '$$name') : fullName, entries }
}

/** `v1` is not in `v1-cgroupv2`: what may stand in a name belongs to it. */
function wordOf(name: string): RegExp {
  return new RegExp(`(?<![\\w.-])${escaped(name)}(?![\\w-]|\\.\\w)`)
}

function escaped(name: string): string {
  return name.replace(/[.-]/g, '\\$&')
}
