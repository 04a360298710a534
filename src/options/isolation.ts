import { InvalidOptionError } from './errors.ts'

/**
 * How many tests have a VM to themselves. `project`: one VM for an entry, which all projects that name the same entry share. `worker`: one
 * for each of the test runner's workers, as long as the project runs. `file`: a new one for each test file, ended with it.
 */
export type Isolation = 'project' | 'worker' | 'file'

/** What becomes of the VMs in watch mode before the tests run again. */
export type OnTestsRerun = 'keep' | 'reset'

/** @throws InvalidOptionError */
export function parseIsolation(project: string, value: unknown = 'project'): Isolation {
  return oneOf(['project', 'worker', 'file'], { project, option: 'isolation', value })
}

/** @throws InvalidOptionError */
export function parseOnTestsRerun(project: string, value: unknown = 'keep'): OnTestsRerun {
  return oneOf(['keep', 'reset'], { project, option: 'onTestsRerun', value })
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
