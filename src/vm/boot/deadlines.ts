import { type Deadline, startDeadline } from '../../lifetime/index.ts'
import type { KernelEntry } from '../../options/index.ts'
import { TemplateUnusableError } from '../../template/index.ts'
import type { ConsoleLog } from '../death/console-log.ts'
import { BootTimeoutError, NoSignOfLifeError } from '../errors.ts'
import type { Start } from '../start.ts'

/** No guest that boots is silent for this long, on the slowest machines seen; one that hangs is for good. */
const SILENCE_DEADLINE_MS = 90_000
/** A restored guest answers within a second on a machine at rest, and in any case in this share of the time that a boot may take. */
const RESTORE_SHARE = 1 / 4
const WAKE_DEADLINE_MS = 20_000

/** The time that all attempts of one start share. */
export function bootDeadline(entry: KernelEntry, { signal }: Pick<Start, 'signal'>): Deadline {
  return startDeadline({ ms: entry.bootTimeoutMs, signal, onPassed: () => bootTimeout(entry) })
}

/** The error for a boot that took too long. With the console, where the boot came so far as to have one. */
export function bootTimeout({ name, bootTimeoutMs }: KernelEntry, console?: ConsoleLog): BootTimeoutError {
  const where = console === undefined ? '' : `; console at ${console.path}`
  return new BootTimeoutError({
    what: `the VM was not ready within ${bootTimeoutMs / 1000} s${where}`,
    entry: name,
    remedy: 'give it more time with bootTimeoutMs (--boot-timeout-ms), or see in its console what it waits for',
    output: console?.tail(),
  })
}

export function restoreDeadline(
  { name, bootTimeoutMs }: KernelEntry,
  console: ConsoleLog,
  signal: AbortSignal,
): Deadline {
  const ms = bootTimeoutMs * RESTORE_SHARE
  return startDeadline({
    ms,
    signal,
    onPassed: () =>
      new TemplateUnusableError('dead', {
        what: `the guest that its template became did not answer in ${ms / 1000} s`,
        entry: name,
        remedy: 'nothing need be done: it is made anew',
        output: console.tail(),
      }),
  })
}

/** A spare answers at once, on a machine at rest; one that does not is no better than a start. */
export function wakeDeadline({ name, bootTimeoutMs }: KernelEntry, { signal }: Pick<Start, 'signal'>): Deadline {
  const ms = Math.min(WAKE_DEADLINE_MS, bootTimeoutMs)
  return startDeadline({
    ms,
    signal,
    onPassed: () =>
      new NoSignOfLifeError({
        what: `a spare did not wake up in ${ms / 1000} s`,
        entry: name,
        remedy: 'nothing need be done: another VM is started',
      }),
  })
}

export function silenceDeadline({ name }: KernelEntry, console: ConsoleLog, signal: AbortSignal): Deadline {
  return startDeadline({
    ms: SILENCE_DEADLINE_MS,
    signal,
    onPassed: () =>
      new NoSignOfLifeError({
        what: `the guest showed no sign of life for ${SILENCE_DEADLINE_MS / 1000} s`,
        entry: name,
        remedy: `read its console at ${console.path}`,
        output: console.tail(),
      }),
  })
}
