// The parts of `npm run bench`: no compiler sees what they take of the package.
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../..')
/** But for what is run as a program of its own. */
const parts = readdirSync(join(root, 'scripts/bench')).filter((name) => name !== 'pour.mjs')

test.each(parts)('%s finds all that it takes of the package', async (part) => {
  await run(process.execPath, ['-e', `await import('./scripts/bench/${part}')`, '--input-type=module'], { cwd: root })
})

test('a part that there is not is refused, with those that there are', async () => {
  const refused = run(process.execPath, ['scripts/bench.mjs', '--only', 'none'], { cwd: root })
  await expect(refused).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining("there is no part 'none'") })
})
