import { isBefore, type KernelVersion } from './kernel-config.ts'

/** Something that a guest wants of its kernel. */
export interface Need {
  /**
   * Options that must all be on, such as `NET_NS PID_NS`; or such sets with `|` between them, of which one will do. The first
   * is the one that people are told of. Without `CONFIG_`.
   */
  readonly options: string
  /** What it is for, to be read after the options. */
  readonly purpose: string
  readonly of: NeedLevel
  /** Only on this cgroup version. @default both */
  readonly cgroup?: 1 | 2
  /** The first kernel that has the option. Before, it was always on, or part of another. */
  readonly since?: KernelVersion
  /** The first kernel that has the option no more: there it is always on, or part of another. */
  readonly until?: KernelVersion
}

/**
 * - `guest`: without it no guest of ours comes up, whatever runs in it
 * - `dockerd`: without it no dockerd comes up, or no container
 * - `controller`: something of containers cannot be limited or counted; `controllers: 'partial'` goes without
 * - `feature`: something that few tests need
 */
export type NeedLevel = 'guest' | 'dockerd' | 'controller' | 'feature'

/** The sets of options of which one will do. */
export function alternativesOf({ options }: Need): readonly (readonly string[])[] {
  return options.split('|').map((set) => set.trim().split(/\s+/))
}

/** Whether kernels of this version have the options at all. One whose version is unknown is taken for a new one. */
export function concerns({ since, until }: Need, version: KernelVersion | undefined): boolean {
  if (version === undefined) return until === undefined
  return (since === undefined || !isBefore(version, since)) && (until === undefined || isBefore(version, until))
}
