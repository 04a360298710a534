import { createProgress } from '../buildkit/progress/index.ts'
import { createLogger, LineSplitter, type Logger } from '../log/index.ts'
import { readSettings, type Settings } from '../options/index.ts'
import { launchVm, newStart, openSession, Timeline } from '../vm/index.ts'
import { Fates } from './fates.ts'
import { privateDirectory } from './private-directory.ts'
import { RunLogs } from './run-logs.ts'
import { SharedVms, type StartEntry, type VmUse } from './shared-vms.ts'
import { testcontainersHostWarning } from './testcontainers-host.ts'

/** The VMs of this process, and how its workers hear of them. */
export interface Running {
  readonly vms: SharedVms
  readonly fates: Fates
  readonly logs: RunLogs
  /** For what only workers of this process may reach. */
  readonly directory: () => Promise<string>
  /** What the first project of the run has asked for others, by their names. */
  ahead: ReadonlyMap<string, readonly VmUse[]> | undefined
}

const KEY = Symbol.for('testkernels.running')

/**
 * The one registry of this process. On `globalThis`, because a test runner may evaluate this module more than once: Vitest does
 * for each project, when it is part of the repository under test.
 * @param write takes a line for people; the first caller's is used
 */
export function running(write: (line: string) => void): Running {
  const holder = globalThis as { [KEY]?: Running }
  holder[KEY] ??= create(write)
  return holder[KEY]
}

function create(write: (line: string) => void): Running {
  const settings = readSettings()
  const log = createLogger({
    write: (line) => write(`testkernels ${line}`),
    level: settings.debug ? 'debug' : 'info',
  })
  const warning = testcontainersHostWarning(settings.homeDirectory)
  if (warning !== undefined) log.warn(warning)
  const logs = new RunLogs({ cacheDirectory: settings.cacheDirectory, log })
  const directory = privateDirectory(settings.runtimeDirectory)
  return {
    vms: new SharedVms(starter({ settings, logs, log, write }), { beforeEnd: (vm) => logs.keep(vm) }),
    fates: new Fates(directory),
    logs,
    directory,
    ahead: undefined,
  }
}

interface Starting {
  readonly settings: Settings
  readonly logs: RunLogs
  readonly log: Logger
  readonly write: (line: string) => void
}

/** How VMs are started in a test runner's process: on one host, which lets no more start at a time than its machine can. */
function starter({ settings, logs, log, write }: Starting): StartEntry {
  // Plain lines: test runners have a live summary already, and two live displays fight.
  const progress = createProgress({ mode: 'plain', write: lineWise(write) })
  const session = onceSucceeded(() => openSession({ settings, log }))
  const onBuildStatus = progress.update.bind(progress)
  return async (entry, signal) => {
    const timeline = new Timeline()
    const opened = await timeline.time('engine', session)
    const start = newStart({ hostname: entry.name, timeline, log: log.named(entry.name), signal, onBuildStatus })
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
