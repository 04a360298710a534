import { reasonOf, TestkernelsError, visible } from '../errors/index.ts'
import { type EngineView, viewEngine } from '../host/index.ts'
import { neverAborted, orAborted, startDeadline } from '../lifetime/index.ts'
import type { Logger } from '../log/index.ts'
import type { KernelEntry, Settings } from '../options/index.ts'
import { findImage, newSession, newStart, type Session, type Start } from '../vm/index.ts'

/** `warning`: a start would work, and less well than it could. `failure`: it would not, or not with the engine that was meant. */
export type Status = 'ok' | 'warning' | 'failure'

export interface Finding {
  readonly status: Status
  readonly message: string
  /** What to do. Absent where all is well. */
  readonly remedy?: string
}

/** One thing that a start needs, and how it is looked at: with the code that a start uses. */
export interface Check {
  /** Stable, for programs: `cache-directory`. */
  readonly id: string
  /** For people, in few words. */
  readonly title: string
  /** What it is printed under. */
  readonly group: string
  /** Longest wait for its answer, in milliseconds, once it has what it needs. */
  readonly deadlineMs: number
  /** `engine`: nothing can be said while that does not answer. */
  readonly needs: 'nothing' | 'engine'
  /** What it throws is a failure; an error of ours names the remedy. */
  examine(context: DoctorContext, signal: AbortSignal): Promise<Finding>
}

export interface CheckResult extends Finding, Pick<Check, 'id' | 'title' | 'group'> {
  /** `not looked at`: what it needs was not there. */
  readonly looked: 'looked at' | 'not looked at'
}

/**
 * Makes all checks side by side, and yields what they find in the order of the checks, each as soon as those before it are done.
 * @throws the reason of the context's signal
 */
export async function* runChecks(checks: readonly Check[], context: DoctorContext): AsyncGenerator<CheckResult> {
  const running = checks.map((check) => runCheck(check, context))
  // Called off, the first says so, and nobody hears the others.
  for (const one of running) one.catch(() => {})
  for (const one of running) yield await one
}

async function runCheck(check: Check, context: DoctorContext): Promise<CheckResult> {
  const { id, title, group } = check
  // One of its own: a shared one would warn of the many who listen.
  const signal = context.signal === undefined ? neverAborted() : AbortSignal.any([context.signal])
  if (check.needs === 'engine' && !(await orAborted(answers(context), signal))) {
    const message = 'not looked at: the engine does not answer'
    return { id, title, group, looked: 'not looked at', status: 'warning', message, remedy: 'mend the engine first' }
  }
  const { message, ...finding } = await examineInTime(check, context, signal)
  // Engines, archives and QEMU have their words in it, and it goes to a terminal.
  return { id, title, group, looked: 'looked at', ...finding, message: visible(message) }
}

async function answers(context: DoctorContext): Promise<boolean> {
  return await context.engine().then(
    () => true,
    () => false,
  )
}

async function examineInTime(check: Check, context: DoctorContext, signal: AbortSignal): Promise<Finding> {
  const { title, deadlineMs } = check
  const late = new Error(`no answer within ${deadlineMs / 1000} s`)
  using deadline = startDeadline({ ms: deadlineMs, signal, onPassed: () => late })
  try {
    return await orAborted(check.examine(context, deadline.signal), deadline.signal)
  } catch (thrown) {
    signal.throwIfAborted()
    if (deadline.signal.aborted)
      return {
        status: 'failure',
        message: late.message,
        remedy: `see what keeps it (${title}), such as a machine that is short of memory or a service that hangs`,
      }
    return findingOf(thrown)
  }
}

function findingOf(thrown: unknown): Finding {
  if (!(thrown instanceof TestkernelsError))
    return { status: 'failure', message: reasonOf(thrown), remedy: 'see what `testkernels --debug doctor` says' }
  const { what, cause, remedy, output } = thrown
  const because = cause === undefined ? '' : `: ${reasonOf(cause)}`
  const shown = output === undefined ? '' : `\n${output}`
  return { status: 'failure', message: what + because + shown, remedy }
}

/** What checks have in common. What takes long is found out once, by the first who asks. */
export interface DoctorContext {
  readonly settings: Settings
  /** What would be started. */
  readonly entry: KernelEntry
  readonly log: Logger
  /** Calls all off. */
  readonly signal?: AbortSignal
  /** @throws as `openDockerHost` */
  engine(): Promise<EngineView>
  /** What a start in this process would have. */
  session(): Promise<Session>
  /** The entry's image in the engine's store; undefined where it is still to be built. */
  image(): Promise<string | undefined>
  start(): Start
}

export interface DoctorOptions extends Pick<DoctorContext, 'settings' | 'entry' | 'log'> {
  readonly signal: AbortSignal
}

export function newContext(options: DoctorOptions): DoctorContext {
  const { settings, entry, log, signal } = options
  const start = () => newStart({ log }, { hostname: entry.name, signal })
  const engine = once(() => viewEngine({ settings, log, signal }))
  const session = once(async () => newSession((await engine()).host, { settings, log }))
  const image = once(async () => await findImage({ session: await session(), entry }, start()))
  return { ...options, engine, session, image, start }
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make()
    return made
  }
}
