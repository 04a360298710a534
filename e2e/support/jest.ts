import { join } from 'node:path'
import { inTerminal, Run, type RunOptions } from './run.ts'

const root = join(import.meta.dirname, '../..')

export interface JestOptions extends RunOptions {
  /** Whether it has a terminal of its own. */
  readonly terminal?: boolean
}

/** `jest ARGS` in a fixture's directory. */
export function jest(
  fixture: string,
  args: readonly string[],
  { terminal = false, ...options }: JestOptions = {},
): Promise<Run> {
  const cli = join(root, 'node_modules/jest/bin/jest.js')
  const argv = [process.execPath, cli, ...args]
  return Run.start(terminal ? inTerminal(argv) : argv, {
    ...options,
    cwd: join(root, 'fixtures', fixture),
    env: { NO_COLOR: '1', ...options.env },
  })
}
