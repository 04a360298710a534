import { randomBytes } from 'node:crypto'
import { reasonOf, TestkernelsError } from '../../errors/index.ts'
import { type Box, dockerdAt } from '../../host/index.ts'
import { type Deadline, Disposals, orAborted } from '../../lifetime/index.ts'
import { looksForLeaks } from '../../options/index.ts'
import { quit, saveState } from '../../qemu/index.ts'
import { waitForDoor } from '../../streams/index.ts'
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
import {
  dockerSocket,
  forwardDocker,
  introduce,
  kernelReportsOf,
  makeGuestKeys,
  openDoor,
  sshInto,
  streamsInto,
} from '../boot/connect.ts'
import { bootDeadline } from '../boot/deadlines.ts'
import { guestIn, startBox, userSpace } from '../boot/guest.ts'
import { VmDiedError } from '../errors.ts'
import { scanForLeaks } from '../memory-leaks.ts'
import type { TemplatePlan } from '../plan.ts'
import { loadImages, renameImages } from '../preload.ts'
import type { Start } from '../start.ts'

export interface Replacing {
  /** For people: what is made. */
  readonly what: string
  readonly former: Former
}

/**
 * Boots a guest cold until its dockerd answers, rehearses a clone's start with it, and saves it. The guest learns no key that a
 * clone could be entered with. Waits for another process that makes the same, on whatever machine.
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
    const onWaiting = () => log.info(`another process is making the ${what}; waiting for it`)
    const turn = await makingOf(box, { onWaiting, entry: plan.entry.name, signal })
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
    // No clone says again what the kernel said here.
    if (plan.entry.kernelReports !== 'ignore') await kernelReportsOf(attempt, guest).settle(guest.signal)
    await save(attempt, guest, use.stateFile)
  } catch (thrown) {
    // What fails first when the time is up is chance.
    throw deadline.signal.aborted ? deadline.signal.reason : thrown
  }
}

async function save(attempt: Attempt, guest: Guest, stateFile: string): Promise<void> {
  using _step = attempt.start.timeline.step('save')
  const monitor = guest.monitor.until(guest.signal)
  await saveState(monitor, stateFile)
  guest.expectEnd()
  await quit(monitor)
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

/**
 * Does with a guest that is to be saved what is first done with every clone: opens its door, asks its dockerd, and connects to its SSH
 * server. What a kernel does at the first connection of its life (it patches its own code, for one), and what it remembers of files,
 * is then behind each clone. Images are loaded in between.
 *
 * The keys are good for this once: the guest forgets them, and no clone ever uses them.
 * @throws ImageTransferError; what a cold boot throws
 */
export async function rehearse(attempt: Attempt, guest: Guest, deadline: Pick<Deadline, 'pause'>): Promise<void> {
  const { control, signal } = guest
  const { preloads, engine } = attempt.plan
  const { timeline, hostname } = attempt.start
  const keys = makeGuestKeys()
  openDoor(keys, control)
  const door = streamsInto(attempt, guest, keys)
  await introduce({ control, keys, hostname, signal })
  await waitForDoor(door, dockerSocket, signal)
  const ssh = sshInto(attempt, guest, { keys, door })
  const { forwards, docker } = await forwardDocker(attempt, guest, door)
  const dockerd = dockerdAt(docker.path)
  if (preloads.length > 0) {
    using _pause = deadline.pause()
    using _step = timeline.step('load images')
    await loadImages(attempt.plan, { control, ranges: guest.images, signal }, attempt.start)
    await renameImages(preloads, dockerd)
  }
  if (engine === 'dockerd') await orAborted(dockerd.ping(), signal)
  await forwards.close()
  await ssh.connection()
  // What is lost until now is nobody's.
  const { name, kernelReports } = attempt.plan.entry
  if (looksForLeaks(kernelReports)) await scanForLeaks({ ssh, gone: guest.gone, entry: name }, signal)
  await ssh.close()
  await control.forgetKeys(signal)
}
