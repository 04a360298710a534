import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { isatty } from 'node:tty'
import { createProgress } from '../buildkit/progress/index.ts'
import { loopbackAddress } from '../forward/index.ts'
import { sayWhatKeeps } from '../lifetime/index.ts'
import { createLogger, LineSplitter, type Logger } from '../log/index.ts'
import { type Isolation, type KeepOnFailure, type KernelEntry, type RetryOn, readSettings } from '../options/index.ts'
import {
  launchVm,
  makeRunDirectory,
  newStart,
  openSession,
  type Session,
  type StartedKernelVm,
  Timeline,
} from '../vm/index.ts'
import type { VmSource } from '../worker/index.ts'
import { Fates, hasFailureIn } from './fates.ts'
import { KeptVms } from './kept-vms.ts'
import { LeaseServer, type LeaseServerOptions } from './lease-server.ts'
import { ReportServers } from './report-server.ts'
import { Retries } from './retries.ts'
import { RunLogs } from './run-logs.ts'
import { RUN_MEMORY_WAIT_MS, type StartEntry, type VmLease, VmLeases } from './vm-leases.ts'

/** The session of a test runner's process: its VMs, who leases them, and how its workers hear of them. */
export interface TestSession {
  readonly vms: VmLeases
  readonly fates: Fates
  readonly logs: Pick<RunLogs, 'follow' | 'keep'>
  readonly reports: ReportServers
  /** The entrance to a VM, by which failed tests are tried again on forks of it. */
  readonly retriesFor: (first: Promise<StartedKernelVm>) => Retries
  readonly kept: KeptVms
  /** What projects have leased, and not released. */
  readonly open: Set<ProjectLease>
  /** For what only workers of this process may open. */
  readonly directory: () => Promise<string>
  readonly log: Logger
}

/** What a project of a test runner wants of VMs. */
export interface ProjectWants {
  readonly entries: readonly KernelEntry[]
  readonly isolation: Isolation
  readonly retryOn: RetryOn
  readonly keepOnFailure: KeepOnFailure
  /** Whose VMs they are, where no other project shall have them as well. */
  readonly owner: string | undefined
  /** How many workers run its tests at the most. */
  readonly workers: number
}

/** VMs that a project leases. */
export interface ProjectLease {
  /** The first VM of each entry. */
  readonly vms: readonly VmLease[]
  /** What workers need to know, in the order of the entries. */
  readonly sources: readonly VmSource[]
  /**
   * Memoised, as all that it is made of. VMs on which tests failed stay, where they are to be kept.
   * @throws KernelReportedError when a kernel reported something, and no test file was under way any more
   */
  release(): Promise<void>
  /** Releases them at the end of a run; the last project of all waits until none is kept any more. @throws as `release` */
  end(): Promise<void>
}

const KEY = Symbol.for('testkernels.session')

/**
 * The one session of this process. On `globalThis`, because a test runner may evaluate this module more than once: Vitest does
 * for each project, when it is part of the repository under test.
 * @param write takes a line for people; the first caller's is used
 */
export function testSession(write: (line: string) => void): TestSession {
  const holder = globalThis as { [KEY]?: TestSession }
  holder[KEY] ??= openTestSession(write)
  return holder[KEY]
}

/** Starts the VMs that a project needs, or shares those that are there; does not wait for them. */
export async function leaseForProject(session: TestSession, wants: ProjectWants): Promise<ProjectLease> {
  const { vms, reports, kept, open, log } = session
  const { entries, owner, keepOnFailure } = wants
  const leases = entries.map((entry) => vms.lease(entry, owner))
  const keep = (vm: StartedKernelVm, end: () => Promise<void>) => kept.keep(vm, { keepOnFailure, end })
  const sources = await openSources(session, wants, { leases, keep }).catch(async (thrown) => {
    await Promise.all(leases.map(({ release }) => release()))
    throw thrown
  })
  const giveUp = async ({ name, started, release }: VmLease, index: number) => {
    const hasFailed = keepOnFailure !== false && (await sources.hasFailure(index))
    // It has started, then.
    const vm = hasFailed || kept.has(name) ? await started.catch(() => undefined) : undefined
    const isKept = vm !== undefined && (hasFailed ? keep(vm, release) : kept.join(vm, release))
    if (!isKept) await release()
  }
  let released: Promise<void> | undefined
  const releaseAll = async () => {
    using _slow = sayWhatKeeps((waits) => log.info(`still ending VMs${waits}`))
    open.delete(lease)
    await sources.close()
    await Promise.all(leases.map(giveUp))
    // The log has them all.
    const [unclaimed] = reports.takeUnclaimed()
    if (unclaimed !== undefined) throw unclaimed
  }
  const lease: ProjectLease = {
    vms: leases,
    sources: sources.all,
    release: () => {
      released ??= releaseAll()
      return released
    },
    end: () => lease.release().finally(() => (open.size === 0 ? kept.stay() : undefined)),
  }
  open.add(lease)
  return lease
}

/** Where the workers of a project hear of their VMs. */
interface Sources {
  readonly all: readonly VmSource[]
  /** Whether a test failed on the VM of an entry that all workers have. */
  hasFailure(index: number): Promise<boolean>
  /** Ends what workers leased beside the first VM of each entry. */
  close(): Promise<void>
}

async function openSources(
  { fates, logs, retriesFor, directory }: TestSession,
  { isolation, retryOn, workers }: ProjectWants,
  { leases, keep }: Pick<LeaseServerOptions, 'keep'> & { readonly leases: readonly VmLease[] },
): Promise<Sources> {
  if (isolation === 'project' && retryOn === 'same-vm') {
    const files = leases.map((lease) => fates.follow(lease))
    const sources = leases.map(
      async ({ name }, index) => ({ kind: 'project', name, fate: (await files[index])?.path ?? '' }) as const,
    )
    const hasFailure = (index: number) => hasFailureIn(files.slice(index, index + 1))
    return { all: await Promise.all(sources), hasFailure, close: async () => {} }
  }
  const parts = { firsts: leases, isolation, workers, directory, fates, logs, keep }
  const server = await LeaseServer.open({ ...parts, ...(retryOn === 'fresh-vm' && { retriesFor }) })
  return {
    all: leases.map(({ name }, index) => ({ kind: 'server', name, socket: server.socket, index, retryOn })),
    hasFailure: (index) => server.hasFailure(index),
    close: () => server[Symbol.asyncDispose](),
  }
}

function openTestSession(write: (line: string) => void): TestSession {
  const settings = readSettings()
  const level = settings.debug ? 'debug' : 'info'
  const log = createLogger({ write: (line) => write(`testkernels ${line}`), level })
  const warning = testcontainersHostWarning(settings.homeDirectory)
  if (warning !== undefined) log.warn(warning)
  // Plain lines: test runners have a live summary already, and two live displays fight.
  const progress = createProgress({ mode: 'plain', write: lineWise(write) })
  const onBuildStatus = progress.update.bind(progress)
  const kept = new KeptVms({ log, isAttended: isatty(0) && !settings.environment['CI'] })
  const session = onceSucceeded(async () => {
    const opened = await openSession({ settings, log, onBuildStatus })
    opened.admission.addExpendable(kept)
    return opened
  })
  const logs = new RunLogs({ cacheDirectory: settings.cacheDirectory, log })
  const directory = privateDirectory(settings.runtimeDirectory)
  const reports = new ReportServers(directory)
  const keep = async (vm: StartedKernelVm) => {
    await reports.end(vm)
    await logs.keep(vm)
  }
  const vms = new VmLeases(startIn(session, logs), { beforeEnd: keep })
  const following = { follow: (vm: StartedKernelVm) => logs.follow(vm), keep }
  const fates = new Fates(directory, { log, reports })
  const makeDirectory = () => makeRunDirectory(settings.runtimeDirectory)
  const retriesFor = (first: Promise<StartedKernelVm>) =>
    new Retries({ first, makeDirectory, address: loopbackAddress(settings.ports), fates, logs: following })
  return { vms, fates, logs: following, reports, retriesFor, kept, open: new Set(), directory, log }
}

function startIn(session: () => Promise<Session>, logs: RunLogs): StartEntry {
  return async (entry, signal) => {
    const timeline = new Timeline()
    const opened = await timeline.time('engine', session)
    const log = opened.log.named(entry.name)
    const start = newStart(opened, { hostname: entry.name, timeline, log, signal, memoryWaitMs: RUN_MEMORY_WAIT_MS })
    const vm = await launchVm({ session: opened, entry }, start)
    await logs.follow(vm)
    return vm
  }
}

function lineWise(write: (line: string) => void): (text: string) => void {
  const lines = new LineSplitter()
  return (text) => {
    for (const line of lines.push(text)) write(line)
  }
}

/** Shared by all who ask while it is made and once it is there; one that failed is made anew. */
function onceSucceeded<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make().catch((thrown) => {
      made = undefined
      throw thrown
    })
    return made
  }
}

/** Makes a directory for what only workers of this process may open when it is first asked for; it goes with the process. */
function privateDirectory(runtimeDirectory: string): () => Promise<string> {
  return onceSucceeded(async () => {
    const { path } = await makeRunDirectory(runtimeDirectory)
    process.once('exit', () => rmSync(path, { recursive: true, force: true }))
    return path
  })
}

/**
 * What to tell a user whose Testcontainers would pass by every VM: its properties file may name an engine, and it believes that
 * before DOCKER_HOST.
 */
export function testcontainersHostWarning(home: string | undefined): string | undefined {
  if (home === undefined) return undefined
  const path = join(home, '.testcontainers.properties')
  const host = readProperty(path, 'tc.host')
  if (host === undefined) return undefined
  return (
    `tc.host=${host} in ${path} goes before DOCKER_HOST: Testcontainers would use that engine, and no VM\n` +
    '  remedy: remove the line, or put a # before it, while these tests run'
  )
}

function readProperty(path: string, name: string): string | undefined {
  try {
    const lines = readFileSync(path, 'utf8').split(/\r?\n/)
    const found = lines.map((line) => /^\s*([^#!=:\s][^=:\s]*)\s*[=:]\s*(.*?)\s*$/.exec(line))
    return found.findLast((match) => match?.[1] === name)?.[2] || undefined
  } catch {
    // None, or one that Testcontainers cannot read either.
    return undefined
  }
}
