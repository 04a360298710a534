import { InvalidOptionError } from './errors.ts'
import type { NamedKernelOptions } from './kernel-entry.ts'

/**
 * How many tests have a VM to themselves. `project`: one VM for an entry, which all projects that name the same entry share. `worker`: one
 * for each of the test runner's workers, as long as the project runs. `file`: a new one for each test file, ended with it.
 */
export type Isolation = 'project' | 'worker' | 'file'

/** What becomes of the VMs in watch mode before the tests run again. */
export type OnTestsRerun = 'keep' | 'reset'

/** Which VM a test that failed is tried again on. */
export type RetryOn = 'same-vm' | 'fresh-vm'

/**
 * Whether VMs on which a test failed stay after the run, of each entry the first. `true`: until Ctrl-C, where there is a terminal to press it in;
 * with a number of minutes, at most a day, so long or until Ctrl-C, with or without a terminal.
 */
export type KeepOnFailure = boolean | { readonly minutes: number }

/** What projects of every test runner take, beside its own options. */
export interface ProjectOptions {
  /**
   * How many tests have a VM to themselves; VMs of workers and files are forks of the first. Workers are told apart by VITEST_POOL_ID or
   * JEST_WORKER_ID.
   * @default 'project'
   */
  readonly isolation?: Isolation
  /**
   * Directory of a report of the run, from the root of the configuration: `report.html`, `report.json` and `report.md`, which compare the
   * tests on all kernels. Projects that name the same one have one report.
   * @default none
   */
  readonly kernelReport?: string
  /**
   * Which VM a test is tried again on, where the test runner tries it again: the one that it failed on, or each time a fork of its own,
   * which is as the first VM was at its start. The tests after it go on with the VM that they had.
   * @default 'same-vm'
   */
  readonly retryOn?: RetryOn
  /**
   * Whether the test runner waits at the end of a run in which tests failed, and their VMs stay for `testkernels shell` until it goes on. Not in
   * watch mode, where VMs stay anyway.
   * @default false
   */
  readonly keepOnFailure?: KeepOnFailure
}

/** Longest wait for a test where nobody says another, in milliseconds. Test runners' own 5 s is less than one `docker run` under emulation. */
export const TEST_TIMEOUT_MS = 120_000

type ForwardingRow = Pick<NamedKernelOptions, 'name' | 'forwards'>

/**
 * @param rows of the project
 * @throws InvalidOptionError
 */
export function parseIsolation(
  project: string,
  value: unknown = 'project',
  rows: readonly ForwardingRow[] = [],
): Isolation {
  const isolation = oneOf(['project', 'worker', 'file'], { project, option: 'isolation', value })
  if (isolation !== 'project') refuseFixedPorts(rows, { project, option: 'isolation', value: isolation })
  return isolation
}

/** Where an entry has several VMs at a time. */
function refuseFixedPorts(rows: readonly ForwardingRow[], { project, option, value }: Given): void {
  const taken = rows.find(({ forwards = [] }) => forwards.some(({ host }) => host !== undefined))
  if (taken === undefined) return
  throw new InvalidOptionError({
    what: `project ${project} has ${option}: '${value}', and a forward of ${taken.name} names a port of this machine: two VMs cannot have it`,
    remedy: `leave host out of the forward, and a port that is free is taken, or leave ${option} out`,
  })
}

/** @throws InvalidOptionError */
export function parseOnTestsRerun(project: string, value: unknown = 'keep'): OnTestsRerun {
  return oneOf(['keep', 'reset'], { project, option: 'onTestsRerun', value })
}

/**
 * @param rows of the project
 * @param platform of this machine, as Node.js has it
 * @throws InvalidOptionError
 */
export function parseRetryOn(
  project: string,
  value: unknown = 'same-vm',
  rows: readonly ForwardingRow[] = [],
  platform: NodeJS.Platform = process.platform,
): RetryOn {
  const retryOn = oneOf(['same-vm', 'fresh-vm'], { project, option: 'retryOn', value })
  if (retryOn === 'same-vm') return retryOn
  if (platform !== 'linux') {
    throw new InvalidOptionError({
      what: `project ${project} has retryOn: 'fresh-vm', and this machine is not Linux: its loopback has 127.0.0.1 alone, where a VM and the way to its forks would need the same ports`,
      remedy: 'leave retryOn out here, or run the tests on Linux',
    })
  }
  refuseFixedPorts(rows, { project, option: 'retryOn', value: retryOn })
  return retryOn
}

/** @throws InvalidOptionError */
export function parseKernelReport(project: string, value: unknown): string | undefined {
  if (value === undefined || (typeof value === 'string' && value !== '')) return value
  throw new InvalidOptionError({
    what: `project ${project} has kernelReport: ${JSON.stringify(value)}`,
    remedy: "name a directory, such as kernelReport: 'kernel-report'",
  })
}

const MINUTES_OF_A_DAY = 24 * 60

/** @throws InvalidOptionError */
export function parseKeepOnFailure(project: string, value: unknown = false): KeepOnFailure {
  if (typeof value === 'boolean') return value
  const { minutes, ...others } = Object(value) as { readonly minutes?: unknown }
  const isDuration = typeof minutes === 'number' && minutes > 0 && minutes <= MINUTES_OF_A_DAY
  if (isDuration && Object.keys(others).length === 0) return { minutes }
  throw new InvalidOptionError({
    what: `project ${project} has keepOnFailure: ${JSON.stringify(value)}`,
    remedy: `use true, false or { minutes: 30 }, of which there are at most ${MINUTES_OF_A_DAY}`,
  })
}

interface Given {
  readonly project: string
  readonly option: string
  readonly value: unknown
}

function oneOf<T extends string>(choices: readonly T[], { project, option, value }: Given): T {
  const found = choices.find((choice) => choice === value)
  if (found !== undefined) return found
  throw new InvalidOptionError({
    what: `project ${project} has ${option}: ${JSON.stringify(value)}`,
    remedy: `use ${choices.map((choice) => `'${choice}'`).join(' or ')}`,
  })
}
