import { availableParallelism } from 'node:os'
import { createProgress } from '../buildkit/progress/index.ts'
import { Slots } from '../lifetime/index.ts'
import { createLogger, type Logger } from '../log/index.ts'
import { SharedVms } from '../matrix/index.ts'
import { readSettings } from '../options/index.ts'
import { openHost, startVm } from '../vm/index.ts'

/** The VMs of this Vitest process, and where their lines go. */
export interface Running {
  readonly vms: SharedVms
  /** Whether the first global setup has asked for all VMs of the run. */
  allRequested: boolean
}

const KEY = Symbol.for('testkernels.vitest.running')

/**
 * The one registry of this process. On `globalThis`, because Vitest evaluates this module once for each project when it is
 * part of the repository under test.
 */
export function running(write: (line: string) => void): Running {
  const holder = globalThis as { [KEY]?: Running }
  holder[KEY] ??= { vms: createVms(write), allRequested: false }
  return holder[KEY]
}

function createVms(write: (line: string) => void): SharedVms {
  const settings = readSettings()
  const log: Logger = createLogger({
    write: (line) => write(`testkernels ${line}`),
    level: settings.debug ? 'debug' : 'info',
  })
  // Plain lines: Vitest's own summary is live already, and two live displays fight.
  const progress = createProgress({ mode: 'plain', write: lineWise(write) })
  const host = onceSucceeded(() => openHost({ settings, log }))
  // A boot keeps a core busy. More of them at a time would be no faster, and each so slow that it looks hung.
  const slots = new Slots(Math.max(2, availableParallelism()))
  const onBuildStatus = progress.update.bind(progress)
  return new SharedVms((entry, signal) =>
    slots.run(
      async () => startVm({ host: await host(), entry, log: log.named(entry.name), signal, onBuildStatus }),
      signal,
    ),
  )
}

function lineWise(write: (line: string) => void): (text: string) => void {
  let rest = ''
  return (text) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) write(line)
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
