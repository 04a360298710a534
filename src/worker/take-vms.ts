import { type Failure, FateWatch } from './fate.ts'
import { askForVm } from './own-vm.ts'
import type { ProvidedKernel, VmSource } from './provided.ts'

/** A VM that tests of this worker may use. */
export interface TakenVm {
  readonly name: string
  readonly kernel: ProvidedKernel
  /** Aborts when the VM is not there any more; its reason says why. */
  readonly gone: AbortSignal
  /** It is not needed any more. */
  release(): void
}

export interface TakeVmsOptions {
  /** Tells the test runner's workers apart. */
  readonly worker: string
  /** Makes the error that the test runner prints best. */
  readonly toError?: (failure: Failure) => Error
}

/** Waits until each VM's dockerd answers, or once did. @throws why one does not; then none is held */
export async function takeVms(sources: readonly VmSource[], options: TakeVmsOptions): Promise<readonly TakenVm[]> {
  const taken = await Promise.allSettled(sources.map((source) => take(source, options)))
  const failure = taken.find((one) => one.status === 'rejected')
  const vms = taken.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  if (failure === undefined) return vms
  for (const vm of vms) vm.release()
  throw failure.reason
}

async function take(source: VmSource, { worker, toError }: TakeVmsOptions): Promise<TakenVm> {
  const held = source.kind === 'own' ? await askForVm(source, worker) : { fate: source.fate, release: () => {} }
  const fate = new FateWatch(held.fate, toError)
  const release = () => {
    fate.close()
    held.release()
  }
  try {
    return { name: source.name, kernel: await fate.ready(), gone: fate.gone, release }
  } catch (thrown) {
    release()
    throw thrown
  }
}
