import { randomBytes } from 'node:crypto'
import { reasonOf, TestkernelsError } from '../../errors/index.ts'
import type { Preload } from '../../image/index.ts'
import { connectQmp, quit, saveState } from '../../qemu/index.ts'
import { saveInto, type TemplateLocation, TemplateNotMadeError } from '../../template/index.ts'
import { untilAlive } from '../boot/boot.ts'
import type { BootOptions } from '../boot/boot-options.ts'
import { type Guest, userSpace, watchedGuest } from '../boot/guest.ts'
import { inPlace, type Place } from '../boot/place.ts'
import { VmDiedError } from '../errors.ts'
import { rehearse } from './rehearse.ts'

export interface MakeTemplateOptions extends BootOptions {
  readonly template: TemplateLocation
  readonly preloads: readonly Preload[]
}

/**
 * Boots a guest cold until its dockerd answers, rehearses a clone's start with it, and saves it. The guest learns no key that a
 * clone could be entered with.
 * @throws TemplateNotMadeError where a VM without a template may do; what a cold boot throws
 */
export async function makeTemplate(options: MakeTemplateOptions): Promise<void> {
  await untilAlive(options, (signal) => inPlace(options, (place) => make({ ...options, signal }, place)))
}

async function make(options: MakeTemplateOptions, place: Place): Promise<void> {
  const { entry, timeline, log, preloads } = options
  const use = saveInto(options.template, randomBytes(4).toString('hex'))
  try {
    const guest = await watchedGuest(options, use, place)
    await userSpace(guest, options, place.console)
    await timeline.time('dockerd', () => guest.control.phase('ready', guest.signal))
    await rehearse(preloads, guest, { options, place })
    await timeline.time('settle', () => guest.control.settle(guest.signal))
    await timeline.time('save', async () => {
      const qmp = await connectQmp(guest.monitorSocket, { signal: guest.signal, log, entry: entry.name })
      try {
        await saveState(qmp, use.stateFile)
        guest.expectEnd()
        await quit(qmp)
      } finally {
        qmp.close()
      }
      await sealed(guest)
    })
    place.forgetConsole()
  } catch (thrown) {
    throw asNotMade(thrown, options, place)
  }
}

/** QEMU has ended; its container writes down checksums, and ends as that ended. */
export async function sealed({ container }: Pick<Guest, 'container'>): Promise<void> {
  const { exitCode } = await container.exited
  if (exitCode === 0) return
  throw new Error(`the saved files could not be kept (status ${exitCode ?? 'unknown'}): ${container.stderr.tail(3)}`)
}

/** What is wrong with the guest would be wrong with a cold one; the rest need not stop anybody. */
function asNotMade(thrown: unknown, { entry, signal }: MakeTemplateOptions, { console }: Place): unknown {
  if (signal.aborted) return thrown
  const guestsFault = thrown instanceof VmDiedError ? console.reason !== undefined : thrown instanceof TestkernelsError
  if (guestsFault && !isOurs(thrown)) return thrown
  return new TemplateNotMadeError({
    what: 'no template could be made of its VM',
    entry: entry.name,
    cause: reasonOf(thrown).split('\n', 1)[0],
    remedy: "see whether the engine's disk is full; template: false (--no-template) boots cold from the start",
  })
}

function isOurs(thrown: unknown): boolean {
  return thrown instanceof TestkernelsError && thrown.code === 'QEMU_COMMAND_FAILED'
}
