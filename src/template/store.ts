import { type Engine, type Ownership, runLabels, startLease } from '../engine/index.ts'
import type { Logger } from '../log/index.ts'
import { imagePaths } from '../qemu/index.ts'
import { TemplateNotMadeError, type TemplateUnusableError } from './errors.ts'
import { mountOf, type TemplateLocation } from './location.ts'
import { describeUnusable } from './unusable.ts'

/** A template as its volume has it. */
export interface StoredTemplate {
  readonly key: string
  readonly sizeBytes: number
  /** When a VM was last started from it. */
  readonly usedAt: Date
}

/** What the volume's files are looked at with: a container of any image of ours, for a moment. */
export interface StoreContext {
  readonly engine: Engine
  readonly ownership: Ownership
  readonly image: string
  readonly entry: string
  readonly log: Logger
  readonly signal: AbortSignal
}

/** @returns why it cannot be restored; undefined when it can, as far as its files tell */
export async function checkTemplate(
  { volume, directory }: TemplateLocation,
  context: StoreContext,
): Promise<TemplateUnusableError | undefined> {
  const { exit, stderr } = await inVolume(volume, ['check', directory], context)
  return exit.exitCode === 0 ? undefined : describeUnusable(exit, { stderr, entry: context.entry })
}

export async function listTemplates(volume: string, context: StoreContext): Promise<readonly StoredTemplate[]> {
  const { stdout } = await inVolume(volume, ['list'], context)
  return stdout.kept.flatMap((line) => {
    const [key = '', bytes, seconds] = line.split(' ')
    if (bytes === undefined || seconds === undefined) return []
    return [{ key, sizeBytes: Number(bytes), usedAt: new Date(Number(seconds) * 1000) }]
  })
}

/** @throws TemplateNotMadeError when their files cannot be removed */
export async function removeTemplates(volume: string, keys: readonly string[], context: StoreContext): Promise<void> {
  const { exit, stderr } = await inVolume(volume, ['remove', ...keys], context)
  if (exit.exitCode === 0) return
  throw new TemplateNotMadeError({
    what: `the templates ${keys.join(', ')} could not be removed from the volume ${volume}`,
    entry: context.entry,
    cause: stderr.tail(3),
    remedy: `remove them all with \`docker volume rm ${volume}\``,
  })
}

async function inVolume(volume: string, command: readonly string[], context: StoreContext) {
  const { engine, ownership, image, entry, log, signal } = context
  await using lease = await startLease(
    engine,
    {
      image,
      entry,
      labels: runLabels(ownership, entry),
      entrypoint: [imagePaths.template],
      command,
      network: 'none',
      mounts: [mountOf(volume)],
    },
    { signal, log },
  )
  const { stdout, stderr } = lease
  return { exit: await lease.exited, stdout, stderr }
}
