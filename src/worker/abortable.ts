import { orAborted } from '../lifetime/index.ts'

// biome-ignore lint/suspicious/noExplicitAny: a test runner's functions take what they take
export type TestFunction = (this: any, ...args: any[]) => unknown

/**
 * The same function, which ends when a VM that it needs is gone: with the reason, at once, and without being called when the VM
 * was gone before.
 */
export function abortable<F extends TestFunction>(run: F, vms: readonly AbortSignal[]): F {
  if (vms.length === 0) return run
  const gone = AbortSignal.any([...vms])
  const wrapped = async function (this: unknown, ...args: unknown[]) {
    gone.throwIfAborted()
    return await orAborted(Promise.resolve(run.apply(this, args)), gone)
  }
  return sameShape(wrapped as F, run)
}

/** The same for a function that says by calling back that it is done. */
export function abortableWithCallback<F extends TestFunction>(run: F, vms: readonly AbortSignal[]): F {
  const gone = AbortSignal.any([...vms])
  const wrapped = function (this: unknown, done: TestFunction) {
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

/** Runners look at how many parameters a function has, and put marks on it. */
function sameShape<F extends TestFunction>(wrapped: F, run: F): F {
  Object.defineProperty(wrapped, 'length', { value: run.length })
  return Object.assign(wrapped, run)
}
