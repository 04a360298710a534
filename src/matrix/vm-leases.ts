import type { KernelEntry } from '../options/index.ts'
import type { StartedKernelVm } from '../vm/index.ts'

/**
 * VMs that are leased end after all that start in the run: of the memory that they have nothing comes back in time, but what is being
 * given up at this moment, on a slow machine too.
 */
export const RUN_MEMORY_WAIT_MS = 30_000

interface LeasedVm {
  readonly starting: Promise<StartedKernelVm>
  readonly stopped: AbortController
  leases: number
}

/** Starts the VM of an entry; ends what it started when the signal aborts first. */
export type StartEntry = (entry: KernelEntry, signal: AbortSignal) => Promise<StartedKernelVm>

/** A VM that somebody has until it is released; others may lease it as well. */
export interface VmLease {
  /** Of the entry. */
  readonly name: string
  readonly started: Promise<StartedKernelVm>
  /** Gives it up; memoised. The last release ends the VM, or cancels its start. */
  release(): Promise<void>
}

/**
 * VMs by entry, each started once and leased to all who ask for it. All starts run in parallel; the last release ends the VM. One
 * that died stays with those who lease it, and is started anew for the next who asks.
 */
export class VmLeases {
  readonly #start: StartEntry
  readonly #beforeEnd: (vm: StartedKernelVm) => Promise<void>
  readonly #vms = new Map<string, LeasedVm>()

  /** @param beforeEnd is done with a VM before it is ended, and must not fail */
  constructor(
    start: StartEntry,
    { beforeEnd = async () => {} }: { readonly beforeEnd?: (vm: StartedKernelVm) => Promise<void> } = {},
  ) {
    this.#start = start
    this.#beforeEnd = beforeEnd
  }

  /**
   * The entry's VM, started if need be. Must be released, also when its start failed.
   * @param owner leases it only to those who name the same. @default all who name none
   */
  lease(entry: KernelEntry, owner = ''): VmLease {
    const key = `${owner} ${entryKey(entry)}`
    const vm = this.#vms.get(key) ?? this.#add(entry, key)
    vm.leases++
    let released: Promise<void> | undefined
    return {
      name: entry.name,
      started: vm.starting,
      release: () => {
        released ??= this.#release(key, vm)
        return released
      },
    }
  }

  #add(entry: KernelEntry, key: string): LeasedVm {
    const stopped = new AbortController()
    const starting = this.#start(entry, stopped.signal)
    const vm: LeasedVm = { starting, stopped, leases: 0 }
    this.#vms.set(key, vm)
    const forget = () => this.#forget(key, vm)
    // A failure is told to those who wait for it; others may still be starting.
    starting.then(({ gone }) => gone.addEventListener('abort', forget, { once: true })).catch(() => {})
    return vm
  }

  async #release(key: string, leased: LeasedVm): Promise<void> {
    if (--leased.leases > 0) return
    this.#forget(key, leased)
    leased.stopped.abort()
    const vm = await leased.starting.catch(() => undefined)
    if (vm === undefined) return
    await this.#beforeEnd(vm)
    await vm.stop()
  }

  #forget(key: string, vm: LeasedVm): void {
    if (this.#vms.get(key) === vm) this.#vms.delete(key)
  }
}

/** Two entries that differ in anything but the order of their options are two VMs. */
function entryKey(entry: KernelEntry): string {
  return JSON.stringify(Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : 1)))
}
