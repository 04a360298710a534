import type { Reporter, TestModule, TestProject, TestSpecification, Vitest } from 'vitest/node'
import { InvalidOptionError } from '../options/index.ts'
import { writeReports } from './run-report.ts'

/** The projects that have test files in a run, which wait for what these functions do. */
export interface TestRunListener {
  onStart(projects: ReadonlySet<TestProject>): Promise<void>
  onEnd(): void
}

const KEY = Symbol.for('testkernels.vitest.runs')

/** With Vitest itself, because it evaluates our modules more than once. */
type Holder = { [KEY]?: TestRuns }

/**
 * The runs of tests of one Vitest, whoever asks for them: its command line, an editor, a script. Vitest calls global setups also when it
 * only lists tests, once for both, and tells them nothing of which it is; reporters hear of runs alone.
 */
export class TestRuns implements Reporter {
  readonly #vitest: Vitest
  readonly #listeners = new Set<TestRunListener>()
  #projects: ReadonlySet<TestProject> | undefined
  #startedMs = Date.now()
  #previous: Promise<unknown> = Promise.resolve()

  private constructor(vitest: Vitest) {
    this.#vitest = vitest
  }

  /** Has Vitest report its runs; once for all projects. */
  static report(vitest: Vitest): void {
    const { config } = vitest
    // Those of a configuration that was loaded again are others.
    if (config.reporters.some((one) => one === (vitest as Holder)[KEY])) return
    const runs = new TestRuns(vitest)
    Object.assign(vitest, { [KEY]: runs })
    config.reporters.push(runs)
    // Vitest 3 and 4 have other reporters for benchmarks.
    const { benchmark } = config
    if (benchmark !== undefined) benchmark.reporters = [...[benchmark.reporters].flat(), runs]
  }

  /** @throws InvalidOptionError for a project that has lost our plugin */
  static of(project: TestProject): TestRuns {
    const runs = (project.vitest as Holder)[KEY]
    if (runs !== undefined) return runs
    throw new InvalidOptionError({
      what: `project ${project.name} has not all that kernelProjects() or kernelSuite() returned`,
      remedy: 'keep its plugins: { ...project, test: { ...project.test, yours } }',
    })
  }

  /** The projects that have test files in the run that is under way; undefined where tests are only listed. */
  get projects(): ReadonlySet<TestProject> | undefined {
    return this.#projects
  }

  /** Has the listener called for runs that begin from now on, and at the end of the one that is under way. */
  follow(listener: TestRunListener): void {
    this.#listeners.add(listener)
  }

  /** Does what no two projects may do at a time. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#previous.then(work)
    this.#previous = done.catch(() => {})
    return done
  }

  async onTestRunStart(specifications: readonly TestSpecification[]): Promise<void> {
    this.#startedMs = Date.now()
    const projects = await projectsOf(this.#vitest, specifications)
    this.#projects = projects
    await Promise.all([...this.#listeners].map((listener) => listener.onStart(projects)))
  }

  async onTestRunEnd(modules: readonly TestModule[]): Promise<void> {
    this.#projects = undefined
    for (const listener of this.#listeners) listener.onEnd()
    await writeReports(modules, { vitest: this.#vitest, startedMs: this.#startedMs })
  }
}

/** Those of `--shard` too, which Vitest divides only after all global setups. */
async function projectsOf(vitest: Vitest, specifications: readonly TestSpecification[]): Promise<Set<TestProject>> {
  const selected = vitest.config.shard ? await inShard(vitest, specifications) : specifications
  // Types are checked without running anything.
  return new Set(selected.filter(({ pool }) => pool !== 'typescript').map(({ project }) => project))
}

/**
 * Vitest orders by path alone. Where the shard ends between projects that have a file in common, the order in which their files were
 * found decides which it takes, and that is chance: both may be needed.
 */
async function inShard(vitest: Vitest, specifications: readonly TestSpecification[]): Promise<TestSpecification[]> {
  const sequencer = new vitest.config.sequence.sequencer(vitest)
  const orders = [[...specifications], [...specifications].reverse()]
  return (await Promise.all(orders.map((order) => sequencer.shard(order)))).flat()
}
