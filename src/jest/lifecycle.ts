// What Jest's process does for a project: its VMs up when its tests are about to run, and down after them.
import { Keeper, type Kept } from '../matrix/index.ts'
import { assignEnvironment } from '../worker/index.ts'
import { type KernelRequest, sourcesVariable } from './request.ts'

/** The part of Jest's configuration that says whether there will be another run. */
export interface RunMode {
  readonly watch?: boolean
  readonly watchAll?: boolean
}

interface Held {
  readonly keeper: Keeper
  /** What is kept for each project. */
  readonly kept: Map<string, Kept>
}

const KEY = Symbol.for('testkernels.jest.held')

/** On `globalThis`, because Jest may evaluate this module more than once. */
function held(): Held {
  const holder = globalThis as { [KEY]?: Held }
  holder[KEY] ??= { keeper: new Keeper((line) => void process.stderr.write(`${line}\n`)), kept: new Map() }
  return holder[KEY]
}

/**
 * Starts the VMs and does not wait for them: Jest does one project after another, and all shall boot side by side. Test files wait,
 * in their environment. Jest calls it only for projects that have tests to run.
 */
export async function setUp(request: KernelRequest): Promise<void> {
  const { keeper, kept } = held()
  // Those of the run before, in watch mode. Who failed is given up first, to be started anew; who lives, once it is held again.
  const former = kept.get(request.id)
  if (former?.failed) await former.release()
  const now = await keeper.use({
    rows: request.rows,
    isolation: request.isolation,
    owner: request.isolation === 'project' ? undefined : request.id,
  })
  kept.set(request.id, now)
  assignEnvironment({ [sourcesVariable(request)]: JSON.stringify(now.sources) })
  await former?.release()
}

/** Ends the VMs. In watch mode they stay for the next run, which starts those anew that died. */
export async function tearDown(request: KernelRequest, { watch = false, watchAll = false }: RunMode): Promise<void> {
  if (watch || watchAll) return
  const { kept } = held()
  await kept.get(request.id)?.release()
  kept.delete(request.id)
}
