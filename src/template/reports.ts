import { TestkernelsError } from '../errors/index.ts'
import { type Box, type BoxExit, type Lines, signalOf } from '../host/index.ts'
import { orAborted, startDeadline } from '../lifetime/index.ts'

/** Not made yet; not what was saved; or what was saved, and yet no guest that lives. */
export type WhyUnusable = 'missing' | 'damaged' | 'dead'

/** A template is not there, not whole, or no guest comes out of it. It is made anew before this reaches anybody. */
export class TemplateUnusableError extends TestkernelsError {
  readonly code = 'TEMPLATE_UNUSABLE'
  readonly why: WhyUnusable

  constructor(why: WhyUnusable, details: ConstructorParameters<typeof TestkernelsError>[0]) {
    super(details)
    this.why = why
  }
}

/** No template could be made. VMs boot cold then. */
export class TemplateNotMadeError extends TestkernelsError {
  readonly code = 'TEMPLATE_NOT_MADE'
}

/** images/runner/entrypoint ends with it when another container made the template meanwhile. */
const MADE_STATUS = 80
const WAITING = 'testkernels: template: waiting'
const MAKING = 'testkernels: template: making'
const SAVED = 'testkernels: template: saved'

/** Whether a box makes its template, or need not. `failed`: it ended, and says why. */
export type Making = 'begun' | 'made by another' | 'failed'

/** What is made takes minutes. Who makes it for longer is stopped, and may be for ever. */
const TURN_DEADLINE_MS = 20 * 60_000

export interface TurnOptions {
  /** Is called when another makes it. */
  readonly onWaiting: () => void
  /** Kernel entry that errors name. */
  readonly entry: string
  readonly signal: AbortSignal
  /** Longest wait for another who makes it, in milliseconds. @default 1_200_000 */
  readonly turnTimeoutMs?: number
}

/**
 * Waits until a box that was started to save into a template is the only one on its host that makes it.
 * @throws TemplateNotMadeError where another has its turn for too long; the signal's reason
 */
export async function makingOf(
  box: Pick<Box, 'stderr' | 'exited'>,
  { onWaiting, entry, signal, turnTimeoutMs = TURN_DEADLINE_MS }: TurnOptions,
): Promise<Making> {
  using turn = startDeadline({
    ms: turnTimeoutMs,
    signal,
    onPassed: () =>
      new TemplateNotMadeError({
        what: `another process has not made the template of its VM in ${turnTimeoutMs / 60_000} minutes`,
        entry,
        remedy: 'see whether a process that uses testkernels is stopped (`ps -C node -o pid,stat,args`), and end it',
      }),
  })
  return await orAborted(turnOf(box, onWaiting), turn.signal)
}

async function turnOf({ stderr, exited }: Pick<Box, 'stderr' | 'exited'>, onWaiting: () => void): Promise<Making> {
  let told = false
  for await (const line of stderr) {
    if (line === MAKING) return 'begun'
    if (line !== WAITING || told) continue
    told = true
    onWaiting()
  }
  return (await exited).exitCode === MADE_STATUS ? 'made by another' : 'failed'
}

/** images/runner/template ends with it when a template cannot be restored. */
const UNUSABLE_STATUS = 79
const SAID = /^testkernels: template: (.*)$/

/** What others end a program by: a QEMU that fails by itself ends by another signal, or by none. */
const OF_OTHERS: readonly (NodeJS.Signals | undefined)[] = ['SIGINT', 'SIGKILL', 'SIGTERM']

/** Whether the end of a box may be its template's fault: not where its host went away, nor where somebody ended it, such as the OOM killer. */
export function mayBeUnusable(exit: BoxExit): boolean {
  return exit.exitCode !== undefined && !exit.oomKilled && !OF_OTHERS.includes(signalOf(exit))
}

/**
 * The error for a container that ended before its guest was restored.
 * @param stderr what it printed: the check's reason, or QEMU's
 */
export function describeUnusable(
  { exitCode }: BoxExit,
  { stderr, entry }: { readonly stderr: Pick<Lines, 'kept' | 'tail'>; readonly entry: string },
): TemplateUnusableError {
  const said = stderr.kept.map((line) => SAID.exec(line)?.[1]).find((reason) => reason !== undefined)
  const remedy = 'nothing need be done: it is made anew'
  if (exitCode === UNUSABLE_STATUS && said !== undefined) {
    const [, why = said] = /^damaged: (.*)$/.exec(said) ?? []
    if (said === 'missing')
      return new TemplateUnusableError('missing', { what: 'there is no template yet', entry, remedy })
    return new TemplateUnusableError('damaged', { what: `its template is damaged: ${why}`, entry, remedy })
  }
  return new TemplateUnusableError('dead', {
    what: `QEMU could not restore its template (status ${exitCode ?? 'unknown'})`,
    entry,
    remedy,
    output: stderr.tail(5),
  })
}

/**
 * Waits until a box whose QEMU was told to save its guest, and to end, has the files ready. It stays until it is stopped.
 * @throws Error when it ends instead
 */
export async function saved({ stderr, exited }: Pick<Box, 'stderr' | 'exited'>, signal: AbortSignal): Promise<void> {
  if (await orAborted(says(stderr, SAVED), signal)) return
  throw notWritten(await exited, stderr)
}

/** Why a box could not write the files of a template. */
export function notWritten({ exitCode }: BoxExit, stderr: Pick<Lines, 'tail'>): Error {
  return new Error(`its files could not be written (status ${exitCode ?? 'unknown'}): ${stderr.tail(3)}`)
}

/** @returns whether the line came before the end of output */
async function says(output: Box['stderr'], wanted: string): Promise<boolean> {
  for await (const line of output) if (line === wanted) return true
  return false
}
