import { randomBytes } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** Every container, volume, network and image of ours carries `run` or `image`. */
export const LABELS = {
  /** The run that a thing belongs to. It goes with its run. */
  run: 'testkernels.run',
  /** The process of that run: an `Owner` as text. */
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

/**
 * Who made a thing, so that another process can tell later whether the maker still lives: `PID@HOST`, and on Linux also
 * the boot, the PID namespace and the start time, because process ids and host names come back.
 */
export interface Owner {
  readonly pid: number
  readonly host: string
  readonly process?: {
    readonly bootId: string
    readonly pidNamespace: string
    /** Clock ticks from boot to the start of the process. */
    readonly startTicks: string
  }
}

/** `unknown`: another machine's or another container's process, or a label that is not ours. */
export type OwnerState = 'alive' | 'dead' | 'unknown'

export function thisOwner(): Owner {
  return describeProcess(process.pid)
}

/** The owner as the value of a label. */
export function formatOwner({ pid, host, process }: Owner): string {
  const name = `${pid}@${host}`
  return process === undefined ? name : [name, process.bootId, process.pidNamespace, process.startTicks].join('/')
}

export function parseOwner(label: string): Owner | undefined {
  const [name = '', bootId, pidNamespace, startTicks] = label.split('/')
  const [, pid, host] = /^(\d+)@(.+)$/.exec(name) ?? []
  if (pid === undefined || host === undefined) return undefined
  if (bootId === undefined || pidNamespace === undefined || startTicks === undefined) return { pid: Number(pid), host }
  return { pid: Number(pid), host, process: { bootId, pidNamespace, startTicks } }
}

/**
 * Whether the owner's process still runs, as far as can be told from here. In doubt `unknown`: what lives must not be
 * taken for dead.
 */
export function ownerState(owner: Owner, engine: { readonly locality: 'local' | 'remote' }): OwnerState {
  const here = thisOwner()
  if (owner.host !== here.host) return 'unknown'
  if (owner.process === undefined || here.process === undefined) {
    return processExists(owner.pid) ? 'alive' : 'dead'
  }
  // Machines made from one template share their host name; only on our own engine is another boot an earlier one.
  if (owner.process.bootId !== here.process.bootId) return engine.locality === 'local' ? 'dead' : 'unknown'
  if (owner.process.pidNamespace !== here.process.pidNamespace) return 'unknown'
  if (!processExists(owner.pid)) return 'dead'
  const now = readStat(owner.pid)
  if (now === undefined) return processExists(owner.pid) ? 'alive' : 'dead'
  return now.state !== 'zombie' && now.startTicks === owner.process.startTicks ? 'alive' : 'dead'
}

function describeProcess(pid: number): Owner {
  const stat = readStat(pid)
  if (stat === undefined) return { pid, host: hostname() }
  try {
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const pidNamespace = readlinkSync('/proc/self/ns/pid').replace(/\D/g, '')
    return { pid, host: hostname(), process: { bootId, pidNamespace, startTicks: stat.startTicks } }
  } catch {
    return { pid, host: hostname() }
  }
}

/** Undefined where there is no /proc, or none for this process. */
function readStat(pid: number): { state: 'zombie' | 'other'; startTicks: string } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in parentheses, which may hold anything; the fields after it do not.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state = '', startTicks] = [fields[0], fields[19]]
    return startTicks === undefined ? undefined : { state: /^[ZX]/.test(state) ? 'zombie' : 'other', startTicks }
  } catch {
    return undefined
  }
}

function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
