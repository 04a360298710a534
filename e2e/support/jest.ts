import { join } from 'node:path'
import { Run, type RunOptions } from './run.ts'

const root = join(import.meta.dirname, '../..')

/** `jest ARGS` in a fixture's directory. */
export function jest(fixture: string, args: readonly string[], options?: RunOptions): Promise<Run> {
  const cli = join(root, 'node_modules/jest/bin/jest.js')
  return Run.start([process.execPath, cli, ...args], {
    ...options,
    cwd: join(root, 'fixtures', fixture),
    env: { NO_COLOR: '1', ...options?.env },
  })
}
