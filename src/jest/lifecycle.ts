// What Jest's process does for a project: its VMs up when its tests are about to run, and down after them.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { SessionThread, type ThreadLease } from '../matrix/index.ts'
import { assignEnvironment } from '../worker/index.ts'
import { type ReportedProject, writeJestReport } from './file-record.ts'
import { type KernelRequest, type ProvidedToProject, providedVariable } from './project-files.ts'

/** The part of Jest's configuration that says whether there will be another run. */
interface RunMode {
  readonly watch?: boolean
  readonly watchAll?: boolean
}

/** The part of it that a teardown needs. */
export interface TearDownMode extends RunMode {
  readonly rootDir: string
}

/** The part of it that a setup needs. */
export interface SetUpMode extends RunMode {
  /** At the most. */
  readonly maxWorkers: number
}

/** What Jest's process has for its projects. */
interface Projects {
  readonly thread: SessionThread
  /** The VMs of each. */
  readonly leases: Map<string, ThreadLease>
  /** Projects whose tests are to be in a report of the run, which is not written yet. */
  readonly reported: ReportedProject[]
}

const KEY = Symbol.for('testkernels.jest.projects')

/** On `globalThis`, because Jest may evaluate this module more than once. */
function projects(): Projects {
  const holder = globalThis as { [KEY]?: Projects }
  holder[KEY] ??= {
    thread: new SessionThread((line) => void process.stderr.write(`${line}\n`)),
    leases: new Map(),
    reported: [],
  }
  return holder[KEY]
}

/**
 * Starts the VMs and does not wait for them: Jest does one project after another, and all are to boot side by side. Test files wait,
 * in their environment. Jest calls it only for projects that have tests to run.
 */
export async function setUp(request: KernelRequest, mode: SetUpMode): Promise<void> {
  const { thread, leases } = projects()
  // That of the run before, in watch mode. One that failed is released first, to be started anew; others, once they are leased again.
  const former = leases.get(request.id)
  if (former?.failed) await former.release()
  const lease = await thread.lease({
    rows: request.rows,
    isolation: request.isolation,
    retryOn: request.retryOn,
    keepOnFailure: !isWatching(mode) && request.keepOnFailure,
    owner: request.isolation === 'project' ? undefined : request.id,
    workers: mode.maxWorkers,
  })
  leases.set(request.id, lease)
  const provided: ProvidedToProject = { sources: lease.sources, ...(await recordsFor(request, lease)) }
  assignEnvironment({ [providedVariable(request)]: JSON.stringify(provided) })
  await former?.release()
}

/** Ends the VMs. In watch mode they stay for the next run, which starts those anew that died. */
export async function tearDown(request: KernelRequest, mode: TearDownMode): Promise<void> {
  await writeJestReport(takeReported(request), mode.rootDir)
  if (isWatching(mode)) return
  const { leases } = projects()
  await leases.get(request.id)?.release()
  leases.delete(request.id)
}

function isWatching({ watch = false, watchAll = false }: RunMode): boolean {
  return watch || watchAll
}

async function recordsFor(
  request: KernelRequest,
  { directory }: ThreadLease,
): Promise<Pick<ProvidedToProject, 'records'>> {
  if (request.kernelReport === undefined) return {}
  // Those of a run before, in watch mode, are not this one's.
  const records = join(directory, `${request.id}-${Date.now()}`)
  await mkdir(records)
  projects().reported.push({ request, records, startedMs: Date.now() })
  return { records }
}

/** All tests have run when the first project is torn down: the projects that have one report, once. */
function takeReported({ kernelReport }: KernelRequest): readonly ReportedProject[] {
  const { reported } = projects()
  const own = reported.filter(({ request }) => request.kernelReport === kernelReport)
  reported.splice(0, reported.length, ...reported.filter((one) => !own.includes(one)))
  return own
}
