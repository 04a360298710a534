import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'

/** Every container, volume and image of ours carries `run` or `image`. */
export const LABELS = {
  /** The run that a thing belongs to. It goes with its run: see `listAbandoned`. */
  run: 'testkernels.run',
  /** For people: the process of that run and its machine, `PID@HOST`. Nothing is decided by it: ids and names come back. */
  owner: 'testkernels.owner',
  /** The kernel entry that a thing is for. */
  entry: 'testkernels.entry',
  /** What an image, or a volume made from one, holds. It stays for later runs. */
  image: 'testkernels.image',
} as const

/** The name of a new run. */
export function newRun(): string {
  return randomBytes(6).toString('hex')
}

/** Labels for what goes when its run ends. */
export function runLabels(run: string, entry?: string): Record<string, string> {
  const owner = `${process.pid}@${hostname()}`
  return { [LABELS.run]: run, [LABELS.owner]: owner, ...(entry === undefined ? {} : { [LABELS.entry]: entry }) }
}

/** Labels for what later runs use again: images, and volumes that cache what was made from one. */
export function imageLabels(kind: string): Record<string, string> {
  return { [LABELS.image]: kind }
}
