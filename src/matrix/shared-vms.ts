import type { KernelEntry } from '../options/index.ts'
import type { StartedKernelVm } from '../vm/index.ts'

interface Shared {
  readonly starting: Promise<StartedKernelVm>
  readonly stopped: AbortController
  users: number
}

/** Starts the VM of an entry; ends what it started when the signal aborts first. */
export type StartEntry = (entry: KernelEntry, signal: AbortSignal) => Promise<StartedKernelVm>

/** One user's hold on a VM that others may use as well. */
export interface VmUse {
  readonly started: Promise<StartedKernelVm>
  /** Gives it up; memoised. The last user's release ends the VM, or cancels its start. */
  release(): Promise<void>
}

/**
 * VMs by entry, each started once and shared by all who ask for it. All starts run in parallel; the last user's release ends
 * the VM. One that died is its users' still, and is started anew for the next who asks.
 */
export class SharedVms {
  readonly #start: StartEntry
  readonly #beforeEnd: (vm: StartedKernelVm) => Promise<void>
  readonly #vms = new Map<string, Shared>()

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
   * @param owner shares it only with those who name the same. @default all who name none
   */
  use(entry: KernelEntry, owner = ''): VmUse {
    const key = `${owner} ${entryKey(entry)}`
    const shared = this.#vms.get(key) ?? this.#share(entry, key)
    shared.users++
    let released: Promise<void> | undefined
    return {
      started: shared.starting,
      release: () => {
        released ??= this.#release(key, shared)
        return released
      },
    }
  }

  #share(entry: KernelEntry, key: string): Shared {
    const stopped = new AbortController()
    const starting = this.#start(entry, stopped.signal)
    const shared: Shared = { starting, stopped, users: 0 }
    this.#vms.set(key, shared)
    const forget = () => this.#forget(key, shared)
    // A failure belongs to whoever awaits it; others may still be starting.
    starting.then(({ gone }) => gone.addEventListener('abort', forget, { once: true })).catch(() => {})
    return shared
  }

  async #release(key: string, shared: Shared): Promise<void> {
    if (--shared.users > 0) return
    this.#forget(key, shared)
    shared.stopped.abort()
    const vm = await shared.starting.catch(() => undefined)
    if (vm === undefined) return
    await this.#beforeEnd(vm)
    await vm.stop()
  }

  #forget(key: string, shared: Shared): void {
    if (this.#vms.get(key) === shared) this.#vms.delete(key)
  }
}

/** Two entries that differ in anything but the order of their options are two VMs. */
export function entryKey(entry: KernelEntry): string {
  return JSON.stringify(Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : 1)))
}
