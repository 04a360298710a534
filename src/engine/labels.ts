import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'

/** Every container, volume and image of ours carries `run` or `image`. */
export const LABELS = {
  /** The run that a thing belongs to. It goes with its run: see `listAbandoned`. */
  run: 'testkernels.run',
  /** The process of that run and its machine, `PID@HOST`: for people, and for whoever waits for a name. Nothing is removed by it: ids come back. */
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

/** Whether the owner that labels name is a process of this machine that lives. Of all others nobody here knows. */
export function isOwnerHere({ [LABELS.owner]: owner = '' }: Readonly<Record<string, string>>): boolean {
  const [, pid, machine] = /^(\d+)@(.*)$/.exec(owner) ?? []
  if (machine !== hostname()) return false
  try {
    process.kill(Number(pid), 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** Labels for what later runs use again: images, and volumes that cache what was made from one. */
export function imageLabels(kind: string): Record<string, string> {
  return { [LABELS.image]: kind }
}
