import { addAbortSignal } from 'node:stream'
import pRetry from 'p-retry'
import { orAborted, startDeadline } from '../lifetime/index.ts'
import { VmNotReadyError } from './errors.ts'
import type { StartedKernelVm } from './started-kernel-vm.ts'

/** Resolves when the VM is ready. Rejects, or goes on forever, when it is not: the signal then ends it. */
export type UntilReady = (vm: StartedKernelVm, signal: AbortSignal) => Promise<unknown>

/** When a VM is ready, in the manner of Testcontainers: beyond that its dockerd answers, which is waited for in any case. */
export class WaitStrategy {
  readonly what: string
  readonly until: UntilReady
  readonly timeoutMs: number | undefined

  /** @param what for messages: what is waited for */
  constructor(what: string, until: UntilReady, timeoutMs?: number) {
    this.what = what
    this.until = until
    this.timeoutMs = timeoutMs
  }

  /** Longest wait in milliseconds, from when dockerd answers on. @default the entry's `bootTimeoutMs` */
  withStartupTimeout(timeoutMs: number): WaitStrategy {
    return new WaitStrategy(this.what, this.until, timeoutMs)
  }
}

/** Short against anything that a guest does under emulation. */
const RETRY = { retries: Number.POSITIVE_INFINITY, minTimeout: 100, factor: 1.5, maxTimeout: 2_000 }

/** The wait strategies that there are; others are made with `new WaitStrategy`. */
export const Wait = {
  /**
   * A line of the guest's console. A VM that starts from a saved one says what it said before no more.
   * @param message part of the line
   */
  forLogMessage(message: string | RegExp, times = 1): WaitStrategy {
    const what = `the console to say ${String(message)}${times > 1 ? ` ${times} times` : ''}`
    return new WaitStrategy(what, async (vm, signal) => {
      let left = times
      for await (const line of addAbortSignal(signal, vm.logs())) {
        if (isIn(message, String(line)) && --left === 0) return
      }
      throw new Error('the console ended')
    })
  },

  /** A command in the guest, not in a container, that ends with status 0. @param command a script for sh, or a program and its arguments */
  forSuccessfulCommand(command: string | readonly string[]): WaitStrategy {
    const text = typeof command === 'string' ? command : command.join(' ')
    return new WaitStrategy(`\`${text}\` to succeed`, (vm, signal) =>
      pRetry(
        async () => {
          const { exitCode, stderr } = await vm.exec(command, { signal })
          if (exitCode !== 0) throw new Error(`it ended with status ${exitCode}: ${stderr.trim()}`)
        },
        { ...RETRY, signal },
      ),
    )
  },

  /** All of them, side by side, each with its own timeout if it has one. */
  forAll(strategies: readonly WaitStrategy[]): WaitStrategy {
    const what = strategies.map((one) => one.what).join(', and for ')
    return new WaitStrategy(what, (vm, signal) => Promise.all(strategies.map((one) => waitUntilReady(vm, one, signal))))
  },
}

function isIn(message: string | RegExp, line: string): boolean {
  // Without its state: one with the flag g would find every other line.
  return typeof message === 'string' ? line.includes(message) : new RegExp(message.source, message.flags).test(line)
}

/** @throws VmNotReadyError; what the VM died of; the signal's reason */
export async function waitUntilReady(vm: StartedKernelVm, strategy: WaitStrategy, signal: AbortSignal): Promise<void> {
  const ms = strategy.timeoutMs ?? vm.entry.bootTimeoutMs
  const notReady = (cause?: unknown) =>
    new VmNotReadyError({
      what: `the VM was not ready${cause === undefined ? ` within ${ms / 1000} s` : ''}: waited for ${strategy.what}`,
      entry: vm.name,
      cause,
      remedy: 'give it more time with withStartupTimeout(), or see in its console what it does (withLogConsumer())',
    })
  using deadline = startDeadline({ ms, onPassed: notReady, signal: AbortSignal.any([signal, vm.gone]) })
  const over = new AbortController()
  try {
    const until = strategy.until(vm, AbortSignal.any([deadline.signal, over.signal]))
    await orAborted(Promise.resolve(until), deadline.signal)
  } catch (thrown) {
    deadline.signal.throwIfAborted()
    throw thrown instanceof VmNotReadyError ? thrown : notReady(thrown)
  } finally {
    // Of several strategies one may have failed: the others would go on, and keep the process alive.
    over.abort(new Error('this is waited for no more'))
  }
}
