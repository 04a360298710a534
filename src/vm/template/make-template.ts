import { randomBytes } from 'node:crypto'
import { reasonOf, TestkernelsError } from '../../errors/index.ts'
import type { Box } from '../../host/index.ts'
import { Disposals, orAborted } from '../../lifetime/index.ts'
import { quit, saveState } from '../../qemu/index.ts'
import {
  type Former,
  makingOf,
  saved,
  saveInto,
  sealTemplate,
  TemplateNotMadeError,
  type TemplateUse,
} from '../../template/index.ts'
import { Attempt } from '../boot/attempt.ts'
import { unlessHopeless } from '../boot/boot.ts'
import type { Guest } from '../boot/booted-vm.ts'
import { bootDeadline } from '../boot/deadlines.ts'
import { guestIn, startBox, userSpace } from '../boot/guest.ts'
import { connectMonitor } from '../boot/monitor.ts'
import { VmDiedError } from '../errors.ts'
import type { TemplatePlan } from '../plan.ts'
import type { Start } from '../start.ts'
import { rehearse } from './rehearse.ts'

export interface Replacing {
  /** For people: what is made. */
  readonly what: string
  readonly former: Former
}

/**
 * Boots a guest cold until its dockerd answers, rehearses a clone's start with it, and saves it. The guest learns no key that a
 * clone could be entered with. Waits for another who makes the same, on whatever machine he is.
 * @returns whether it was us who made it
 * @throws TemplateNotMadeError where a VM without a template may do; what a cold boot throws
 */
export async function makeTemplate(
  plan: TemplatePlan,
  start: Start,
  replacing: Replacing,
): Promise<'made' | 'made by another'> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await makeOnce(plan, start, replacing)
    } catch (thrown) {
      unlessHopeless(thrown, { attempts, log: start.log })
    }
  }
}

async function makeOnce(plan: TemplatePlan, start: Start, { what, former }: Replacing) {
  const { host } = plan.session
  const { log, signal } = start
  const making = { volume: `testkernels-making-${randomBytes(4).toString('hex')}`, keptFor: 'run' } as const
  await using resources = new Disposals()
  // The box that has it goes first.
  resources.defer('volume', () => host.removeVolume(making.volume))
  await using attempt = await Attempt.open(plan, start)
  const use = saveInto(plan.template, making, former)
  try {
    const box = await startBox(attempt, { use, signal })
    const waiting = () => log.info(`another process is making the ${what}; waiting for it`)
    const turn = await orAborted(makingOf(box, waiting), signal)
    if (turn === 'made by another') {
      attempt.forgetConsole()
      return turn
    }
    if (turn === 'failed') throw await notBegun(box)
    log.info(`making the ${what}, once`)
    await bootAndSave(box, attempt, use)
    // The boot is over: only who calls the start off ends this.
    await saved(box, signal)
    await sealTemplate(plan.template, making, { host, image: plan.image, entry: plan.entry.name, log, signal })
    attempt.forgetConsole()
    return 'made'
  } catch (thrown) {
    throw attempt.failure(asNotMade(thrown, attempt))
  }
}

/** The time that a boot may take begins when nobody is waited for any more. */
async function bootAndSave(box: Box, attempt: Attempt, use: TemplateUse): Promise<void> {
  const { plan, start } = attempt
  using deadline = bootDeadline(plan.entry, start)
  try {
    const guest = await guestIn(box, attempt, { use, signal: deadline.signal, deadline })
    await userSpace(attempt, guest)
    await start.timeline.time('dockerd', () => guest.control.phase('ready', guest.signal))
    await rehearse(attempt, guest, deadline)
    await start.timeline.time('settle', () => guest.control.settle(guest.signal))
    await save(attempt, guest, use.stateFile)
  } catch (thrown) {
    // What fails first when the time is up is chance.
    throw deadline.signal.aborted ? deadline.signal.reason : thrown
  }
}

async function save(attempt: Attempt, guest: Guest, stateFile: string): Promise<void> {
  using _step = attempt.start.timeline.step('save')
  const qmp = await connectMonitor(guest, attempt, guest.signal)
  try {
    await saveState(qmp, stateFile)
    guest.expectEnd()
    await quit(qmp)
  } finally {
    qmp.close()
  }
}

async function notBegun({ exited, stderr }: Box): Promise<Error> {
  const { exitCode } = await exited
  return new Error(`its box ended (status ${exitCode ?? 'unknown'}): ${stderr.tail(3)}`)
}

/** What is wrong with the guest would be wrong with a cold one; the rest need not stop anybody. */
function asNotMade(thrown: unknown, { plan, start, console }: Attempt): unknown {
  if (start.signal.aborted) return thrown
  const guestsFault = thrown instanceof VmDiedError ? console.reason !== undefined : thrown instanceof TestkernelsError
  if (guestsFault && !isOurs(thrown)) return thrown
  return new TemplateNotMadeError({
    what: 'no template could be made of its VM',
    entry: plan.entry.name,
    cause: reasonOf(thrown).split('\n', 1)[0],
    remedy: "see whether the engine's disk is full; template: false (--no-template) boots cold from the start",
  })
}

function isOurs(thrown: unknown): boolean {
  return thrown instanceof TestkernelsError && thrown.code === 'QEMU_COMMAND_FAILED'
}
