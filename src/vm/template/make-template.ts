import { randomBytes } from 'node:crypto'
import { reasonOf, TestkernelsError } from '../../errors/index.ts'
import { connectQmp, quit, saveState } from '../../qemu/index.ts'
import { saveInto, TemplateNotMadeError } from '../../template/index.ts'
import { Attempt } from '../boot/attempt.ts'
import { unlessHopeless } from '../boot/boot.ts'
import type { Guest } from '../boot/booted-vm.ts'
import { bootDeadline } from '../boot/deadlines.ts'
import { startGuest, userSpace } from '../boot/guest.ts'
import { VmDiedError } from '../errors.ts'
import type { TemplatePlan } from '../plan.ts'
import type { Start } from '../start.ts'
import { rehearse } from './rehearse.ts'

/**
 * Boots a guest cold until its dockerd answers, rehearses a clone's start with it, and saves it. The guest learns no key that a
 * clone could be entered with.
 * @throws TemplateNotMadeError where a VM without a template may do; what a cold boot throws
 */
export async function makeTemplate(plan: TemplatePlan, start: Start): Promise<void> {
  using deadline = bootDeadline(plan.entry, start)
  for (let attempts = 1; ; attempts++) {
    try {
      return await makeOnce(plan, { ...start, signal: deadline.signal })
    } catch (thrown) {
      unlessHopeless(thrown, { attempts, log: start.log })
    }
  }
}

async function makeOnce(plan: TemplatePlan, start: Start): Promise<void> {
  await using attempt = await Attempt.open(plan, start)
  const { timeline, signal } = start
  try {
    const use = saveInto(plan.template, randomBytes(4).toString('hex'))
    const guest = await startGuest(attempt, { use, signal })
    await userSpace(attempt, guest)
    await timeline.time('dockerd', () => guest.control.phase('ready', guest.signal))
    await rehearse(attempt, guest)
    await timeline.time('settle', () => guest.control.settle(guest.signal))
    await save(attempt, guest, use.stateFile)
    attempt.forgetConsole()
  } catch (thrown) {
    throw attempt.failure(asNotMade(thrown, attempt))
  }
}

async function save({ plan, start }: Attempt, guest: Guest, stateFile: string): Promise<void> {
  using _step = start.timeline.step('save')
  const qmp = await connectQmp(guest.monitorSocket, { signal: guest.signal, log: start.log, entry: plan.entry.name })
  try {
    await saveState(qmp, stateFile)
    guest.expectEnd()
    await quit(qmp)
  } finally {
    qmp.close()
  }
  await sealed(guest)
}

/** QEMU has ended; its container writes down checksums, and ends as that ended. */
export async function sealed({ container }: Pick<Guest, 'container'>): Promise<void> {
  const { exitCode } = await container.exited
  if (exitCode === 0) return
  throw new Error(`the saved files could not be kept (status ${exitCode ?? 'unknown'}): ${container.stderr.tail(3)}`)
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
