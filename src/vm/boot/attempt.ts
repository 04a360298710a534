import { basename, join } from 'node:path'
import { Readable } from 'node:stream'
import { Disposals } from '../../lifetime/index.ts'
import type { KernelEntry } from '../../options/index.ts'
import { TemplateUnusableError } from '../../template/index.ts'
import { ConsoleLog, consoleDirectory } from '../death/console-log.ts'
import { BootTimeoutError } from '../errors.ts'
import type { VmPlan } from '../plan.ts'
import type { Start } from '../start.ts'
import { bootTimeout } from './deadlines.ts'
import { makeRunDirectory, qemuUser, type RunDirectory } from './run-directory.ts'

interface AttemptParts {
  readonly plan: VmPlan
  readonly start: Start
  readonly runDirectory: RunDirectory
  readonly console: ConsoleLog
  readonly resources: Disposals
}

/** One attempt to get a VM to run: what it has on this machine, and what of it must be ended if it fails. */
export class Attempt implements AsyncDisposable {
  readonly plan: VmPlan
  readonly start: Start
  /** With the sockets of QEMU and of the forwards. */
  readonly runDirectory: RunDirectory
  readonly console: ConsoleLog
  /** Takes each thing that is started the moment it exists. */
  readonly resources: Disposals
  #consoleIs: 'kept' | 'removed' = 'kept'

  private constructor({ plan, start, runDirectory, console, resources }: AttemptParts) {
    this.plan = plan
    this.start = start
    this.runDirectory = runDirectory
    this.console = console
    this.resources = resources
    resources.defer('console log', () => console.close(this.#consoleIs === 'kept' ? 'keep' : 'remove'))
  }

  /**
   * Must be disposed, which ends all that was started, unless it succeeds.
   * @param user who QEMU runs as
   * @throws DirectoryUnusableError
   */
  static async open(plan: VmPlan, start: Start, user = qemuUser()): Promise<Attempt> {
    const { settings } = plan.session
    await using resources = new Disposals()
    const directory = await makeRunDirectory(settings.runtimeDirectory, { owner: user, forwards: plan.entry.forwards })
    const runDirectory = resources.use('run directory', directory)
    const path = join(consoleDirectory(settings), consoleName(plan.entry, runDirectory.path))
    const console = await ConsoleLog.open(path)
    return new Attempt({ plan, start, runDirectory, console, resources: resources.move() })
  }

  /** Passes on what the VM says, from its first line on, to who wants to hear it. */
  followConsole(): void {
    this.plan.logConsumer?.(Readable.from(this.console.follow()))
  }

  /** Nobody will have to look for a reason in the console: its log goes when it is closed. */
  forgetConsole(): void {
    this.#consoleIs = 'removed'
  }

  /** The VM runs: what ends it is the caller's. */
  succeed(): Disposals {
    return this.resources.move()
  }

  /** The error to fail with. What fails first when a signal aborts is chance; the signal's reason is the cause. */
  failure(thrown: unknown): unknown {
    const { signal } = this.start
    const reason = signal.aborted ? signal.reason : thrown
    if (reason instanceof BootTimeoutError) return bootTimeout(this.plan.entry, this.console)
    // Nobody has to look for the reason of a start that was called off, or that had nothing to start from.
    if (signal.aborted || reason instanceof TemplateUnusableError) this.forgetConsole()
    return reason
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.resources.dispose()
  }
}

/** Unique, as the directory's name is: `cgroupv1-PID-XXXXXX.log`. */
function consoleName({ name }: KernelEntry, runDirectory: string): string {
  return `${name}-${basename(runDirectory).replace(/^testkernels-/, '')}.log`
}
