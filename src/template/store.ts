import { randomBytes } from 'node:crypto'
import type { Box, Host, Mount, VolumeName } from '../host/index.ts'
import { orAborted } from '../lifetime/index.ts'
import type { Logger } from '../log/index.ts'
import { imagePaths } from '../qemu/index.ts'
import { makingMount, marksMount, type TemplateLocation, templatesMount } from './location.ts'
import { notWritten, TemplateNotMadeError } from './reports.ts'

/** A template as its volume has it. */
export interface StoredTemplate {
  readonly key: string
  readonly sizeBytes: number
  /** When a VM was last started from it. */
  readonly usedAt: Date
}

/** What the volume's files are looked at with: a container of any image of ours, for a moment. */
export interface StoreContext {
  readonly host: Pick<Host, 'run'>
  readonly image: string
  readonly entry: string
  readonly log: Logger
  readonly signal: AbortSignal
}

export async function listTemplates(volume: VolumeName, context: StoreContext): Promise<readonly StoredTemplate[]> {
  const { stdout } = await inVolume(volume, ['list'], context)
  return stdout.kept.flatMap((line) => {
    const [key = '', bytes, seconds] = line.split(' ')
    if (bytes === undefined || seconds === undefined) return []
    return [{ key, sizeBytes: Number(bytes), usedAt: new Date(Number(seconds) * 1000) }]
  })
}

/** @throws TemplateNotMadeError when their files cannot be removed */
export async function removeTemplates(
  volume: VolumeName,
  keys: readonly string[],
  context: StoreContext,
): Promise<void> {
  const { exit, stderr } = await inVolume(volume, ['remove', ...keys], context)
  if (exit.exitCode === 0) return
  throw new TemplateNotMadeError({
    what: `the templates ${keys.join(', ')} could not be removed from the volume ${volume.volume}`,
    entry: context.entry,
    cause: stderr.tail(3),
    remedy: `remove them all with \`docker volume rm ${volume.volume}\``,
  })
}

/**
 * Makes a template of what a VM saved.
 * @param making the volume that it saved into, whose box still has the template's lock
 * @throws Error when its files cannot be written
 */
export async function sealTemplate(
  location: TemplateLocation,
  making: VolumeName,
  context: StoreContext,
): Promise<void> {
  const { directory } = location
  const command = ['seal', directory, `.${directory}.${randomBytes(4).toString('hex')}`]
  const { exit, stderr } = await inVolume(location, command, context, [makingMount(making, 'read-only')])
  if (exit.exitCode !== 0) throw notWritten(exit, stderr)
}

/**
 * Starts a box that has a volume and does nothing. A volume of a run is there as long as a box has it, and this is for one that no other
 * box may have for a while.
 */
export async function holdVolume(volume: VolumeName, { host, image, entry, log, signal }: StoreContext): Promise<Box> {
  // As any box it ends with its standard input.
  return await host.run(
    { image, entry, entrypoint: ['cat'], mounts: [makingMount(volume, 'read-only')] },
    { signal, log },
  )
}

/** The only kind of box that has templates for writing. No guest runs in it. */
async function inVolume(
  volume: VolumeName,
  command: readonly string[],
  { host, image, entry, log, signal }: StoreContext,
  others: readonly Mount[] = [],
) {
  const mounts = [templatesMount(volume, 'read-write'), marksMount(volume), ...others]
  const spec = { image, entry, entrypoint: [imagePaths.template], command, mounts }
  await using box = await host.run(spec, { signal, log })
  const { stdout, stderr } = box
  return { exit: await orAborted(box.exited, signal), stdout, stderr }
}

export interface Bound {
  readonly limitBytes: number
  /** Stays, however large it is. */
  readonly keep: string
}

/** The keys of templates that must go so that the rest fits: least recently used first. */
export function templatesToEvict(stored: readonly StoredTemplate[], { limitBytes, keep }: Bound): readonly string[] {
  const byAge = stored.toSorted((one, other) => one.usedAt.getTime() - other.usedAt.getTime())
  let surplus = stored.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) - limitBytes
  const evicted: string[] = []
  for (const { key, sizeBytes } of byAge) {
    if (surplus <= 0) break
    if (key === keep) continue
    evicted.push(key)
    surplus -= sizeBytes
  }
  return evicted
}
