// Vitest's JUnit reporter, told apart by projects: the same test file runs once for each entry, and its reports would be alike.
import type { RunnerTestFile } from 'vitest'
import type { JUnitReporter as JUnitReporterClass } from 'vitest/node'

type Base = typeof JUnitReporterClass

/** In which place Vitest exports it, depends on its version: 4 and 5, or 3.2. */
async function findJUnitReporter(): Promise<Base> {
  const { JUnitReporter } = (await import('vitest/node')) as { JUnitReporter?: Base }
  if (JUnitReporter !== undefined) return JUnitReporter
  return (await import('vitest/reporters')).JUnitReporter as unknown as Base
}

const JUnitReporter = await findJUnitReporter()

type Attributes = Record<string, unknown>
type Options = NonNullable<ConstructorParameters<Base>[0]>

/** Vitest 5 names suites as it is told to, and writes them in an order of its own. */
const takesTemplates = 'resolveSuiteNameTemplate' in JUnitReporter.prototype
const template = ({ displayName, filename }: { displayName: string; filename: string }) => named(displayName, filename)
const templates = takesTemplates ? { suiteNameTemplate: template, classnameTemplate: template } : {}

function named(project: string | undefined, name: unknown): string {
  return project ? `[${project}] ${name}` : String(name)
}

/** Test suites and the classes of test cases are named `[cgroupv1] test/limits.vm.test.ts`. Takes the options of Vitest's own. */
export default class KernelJUnitReporter extends JUnitReporter {
  /** The projects of the test suites that are still to be written, where the names are up to us. */
  #projects: string[] = []
  #project: string | undefined

  constructor(options?: Options) {
    super({ ...templates, ...options } as Options)
  }

  override async onTestRunEnd(...args: Parameters<JUnitReporterClass['onTestRunEnd']>): Promise<void> {
    const [modules] = args
    this.#projects = modules.map(({ project }) => project.name)
    // Vitest 3 has none.
    await super.onTestRunEnd?.(...args)
  }

  /** What Vitest 3 calls in its place. */
  async onFinished(files: readonly RunnerTestFile[] = [], ...rest: unknown[]): Promise<void> {
    this.#projects = files.map(({ projectName = '' }) => projectName)
    const base = JUnitReporter.prototype as { onFinished?: (...args: unknown[]) => Promise<void> }
    await base.onFinished?.call(this, files, ...rest)
  }

  override async writeElement(name: string, attributes: Attributes, children: () => Promise<void>): Promise<void> {
    await super.writeElement(name, this.#named(name, attributes), children)
  }

  #named(element: string, attributes: Attributes): Attributes {
    if (takesTemplates) return attributes
    if (element === 'testsuite') {
      this.#project = this.#projects.shift()
      return { ...attributes, name: named(this.#project, attributes['name']) }
    }
    return element === 'testcase'
      ? { ...attributes, classname: named(this.#project, attributes['classname']) }
      : attributes
  }
}
