import { TestkernelsError } from '../errors/index.ts'
import type { Box, Host } from '../host/index.ts'
import type { Fork, ForkOptions } from './start.ts'

/** A checkpoint was asked for a fork after it was removed. */
export class CheckpointRemovedError extends TestkernelsError {
  readonly code = 'CHECKPOINT_REMOVED'
}

/** The VM has something that a saved one cannot have. */
export class CheckpointRefusedError extends TestkernelsError {
  readonly code = 'CHECKPOINT_REFUSED'
}

export interface CheckpointParts<Vm> {
  readonly host: Pick<Host, 'removeVolume'>
  readonly entry: string
  readonly volume: string
  /** Has the volume. */
  readonly holder: Pick<Box, 'stop'>
  /** Starts a VM from it. */
  readonly start: Fork<Vm>
  /** Ends what was made ready for the next fork. */
  readonly end: () => Promise<void>
}

/**
 * The saved state of a running VM, with all that ran in it. It takes the disk space of the guest's RAM and of what was written
 * to its disk; it belongs to this run, and holds the keys of the VM that it was taken of.
 */
export class Checkpoint<Vm extends { stop(): Promise<void> }> implements AsyncDisposable {
  readonly #parts: CheckpointParts<Vm>
  readonly #forks = new Set<Vm>()
  #removal: Promise<void> | undefined

  constructor(parts: CheckpointParts<Vm>) {
    this.#parts = parts
  }

  /** A new VM that goes on from here, with a hostname and keys of its own. @throws CheckpointRemovedError; TemplateUnusableError */
  async fork(options?: ForkOptions): Promise<Vm> {
    if (this.#removal !== undefined) {
      throw new CheckpointRemovedError({
        what: 'the checkpoint was removed',
        entry: this.#parts.entry,
        remedy: 'fork before remove(), or before the `await using` of the checkpoint ends',
      })
    }
    const fork = await this.#parts.start(options)
    this.#forks.add(fork)
    return fork
  }

  /** Ends the VMs that were forked from it, and gives its disk space back; memoised. */
  remove(): Promise<void> {
    this.#removal ??= this.#remove()
    return this.#removal
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.remove()
  }

  async #remove(): Promise<void> {
    const { end, holder, host, volume } = this.#parts
    await end()
    await Promise.all([holder.stop(), ...[...this.#forks].map((fork) => fork.stop())])
    await host.removeVolume(volume)
  }
}
