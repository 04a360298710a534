import { rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Disposals } from '../../lifetime/index.ts'
import type { KernelEntry } from '../../options/index.ts'
import { TemplateUnusableError } from '../../template/index.ts'
import { ConsoleLog, consoleDirectory } from '../death/console-log.ts'
import { BootTimeoutError } from '../errors.ts'
import type { BootOptions } from './boot-options.ts'
import { bootTimeout } from './boot-timeout.ts'
import { makeRunDirectory } from './run-directory.ts'

/** What one start of a VM has on this machine. */
export interface Place {
  readonly runDirectory: string
  readonly console: ConsoleLog
  /** Takes each thing that is started the moment it exists; the console's log is closed last. */
  readonly starting: Disposals
  /** Nobody will have to look for a reason in the console: its log goes when it is closed. */
  forgetConsole(): void
}

/**
 * Gives one start its place, and takes everything back when it fails. When it succeeds, the place is whoever's has its
 * disposals.
 */
export async function inPlace<T>(options: BootOptions, start: (place: Place) => Promise<T>): Promise<T> {
  const { host, entry } = options
  await using starting = new Disposals()
  const runDirectory = await makeRunDirectory(host.settings.runtimeDirectory)
  starting.defer('run directory', () => rm(runDirectory, { recursive: true, force: true }))
  const console = await ConsoleLog.open(join(consoleDirectory(host.settings), consoleName(entry, runDirectory)))
  let fate: 'keep' | 'remove' = 'keep'
  const forgetConsole = () => {
    fate = 'remove'
  }
  starting.defer('console log', () => console.close(fate))
  try {
    return await start({ runDirectory, console, starting, forgetConsole })
  } catch (thrown) {
    // What fails first when a signal aborts is chance; the signal's reason is the cause.
    const reason = options.signal.aborted ? options.signal.reason : thrown
    if (reason instanceof BootTimeoutError) throw bootTimeout(entry, console)
    // Nobody has to look for the reason of a start that was called off, or that had nothing to start from.
    if (options.signal.aborted || reason instanceof TemplateUnusableError) forgetConsole()
    throw reason
  }
}

/** Unique, as the directory's name is: `cgroupv1-PID-XXXXXX.log`. */
function consoleName({ name }: KernelEntry, runDirectory: string): string {
  return `${name}-${basename(runDirectory).replace(/^testkernels-/, '')}.log`
}
