import { randomBytes } from 'node:crypto'
import { formatOwner, thisOwner } from './owner.ts'

/** Every container, volume, network and image of ours carries `run` or `image`. */
export const LABELS = {
  /** The run that a thing belongs to. It goes with its run. */
  run: 'testkernels.run',
  /** The process of that run; see `owner.ts`. */
  owner: 'testkernels.owner',
  /** The kernel entry that a thing is for. */
  entry: 'testkernels.entry',
  /** What an image, or a volume made from one, holds. It stays for later runs. */
  image: 'testkernels.image',
} as const

/** A run and the process it belongs to. */
export interface Ownership {
  readonly run: string
  readonly owner: string
}

/** A new run of this process. */
export function newOwnership(): Ownership {
  return { run: randomBytes(6).toString('hex'), owner: formatOwner(thisOwner()) }
}

/** Labels for what goes when its run ends. */
export function runLabels({ run, owner }: Ownership, entry?: string): Record<string, string> {
  return { [LABELS.run]: run, [LABELS.owner]: owner, ...(entry === undefined ? {} : { [LABELS.entry]: entry }) }
}

/** Labels for what later runs use again: images, and volumes that cache what was made from one. */
export function imageLabels(kind: string): Record<string, string> {
  return { [LABELS.image]: kind }
}
