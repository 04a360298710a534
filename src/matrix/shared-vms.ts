import type { KernelEntry } from '../options/index.ts'
import type { StartedKernelVm } from '../vm/index.ts'

interface Shared {
  readonly starting: Promise<StartedKernelVm>
  readonly stopped: AbortController
  users: number
}

/** Starts the VM of an entry; ends what it started when the signal aborts first. */
export type StartEntry = (entry: KernelEntry, signal: AbortSignal) => Promise<StartedKernelVm>

/**
 * VMs by entry, each started once and shared by all who ask for it. All starts run in parallel; the last user's release ends
 * the VM.
 */
export class SharedVms {
  readonly #start: StartEntry
  readonly #vms = new Map<string, Shared>()

  constructor(start: StartEntry) {
    this.#start = start
  }

  /** The entry's VM, started if need be. Each call must be met by one `release`, also when the start failed. */
  acquire(entry: KernelEntry): Promise<StartedKernelVm> {
    const key = keyOf(entry)
    let shared = this.#vms.get(key)
    if (shared === undefined) {
      const stopped = new AbortController()
      const starting = this.#start(entry, stopped.signal)
      // A failure belongs to whoever awaits it; others may still be starting.
      starting.catch(() => {})
      shared = { starting, stopped, users: 0 }
      this.#vms.set(key, shared)
    }
    shared.users++
    return shared.starting
  }

  /** Gives up one use. The last one ends the VM, or cancels its start. */
  async release(entry: KernelEntry): Promise<void> {
    const shared = this.#vms.get(keyOf(entry))
    if (shared === undefined || --shared.users > 0) return
    this.#vms.delete(keyOf(entry))
    shared.stopped.abort()
    const vm = await shared.starting.catch(() => undefined)
    await vm?.stop()
  }
}

/** Two entries that differ in anything but the order of their options are two VMs. */
function keyOf(entry: KernelEntry): string {
  return JSON.stringify(Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : 1)))
}
