import { join } from 'node:path'
import { expect, test } from 'vitest'
import { testkernels } from '../support/run.ts'

const file = join(import.meta.dirname, '../../fixtures/matrix/testkernels.config.ts')

test('--matrix runs the command on each entry in turn, and tells how it went', async ({ annotate }) => {
  const script =
    'docker info --format "{{.CgroupVersion}} {{.Name}} $TESTKERNELS_ENTRY"; test "$TESTKERNELS_ENTRY" = bookworm-cgroupv2'
  await using run = await testkernels(['run', '--matrix', file, '--', 'sh', '-c', script])
  expect(await run.program.exit).toEqual({ code: 1, signal: null })
  const { stdout, stderr } = run.program
  expect(stdout.split('\n')).toEqual([
    '[bookworm-cgroupv1] 1 bookworm-cgroupv1 bookworm-cgroupv1',
    '[bookworm-cgroupv2] 2 bookworm-cgroupv2 bookworm-cgroupv2',
    '',
  ])
  expect(stderr).toMatch(/^bookworm-cgroupv1 +debian:bookworm +[\d.]+ s +failed with status 1$/m)
  expect(stderr).toMatch(/^bookworm-cgroupv2 +debian:bookworm +[\d.]+ s +passed$/m)
  await annotate(`nothing left after ${await run.gone()} ms`)
})

test.each([
  { args: ['--matrix', 'none.ts', '--', 'true'], says: 'error [MATRIX_FILE]: cannot read the matrix in ' },
  { args: ['--matrix', file], says: "error: option '--matrix' needs a command after --" },
  { args: ['--matrix', file, '--cgroup', '1', '--', 'true'], says: "cannot be used with option '--cgroup <version>'" },
  { args: ['--parallel', '--', 'true'], says: "error: option '--parallel' needs --matrix" },
])('refuses $args, and starts nothing', async ({ args, says }) => {
  await using run = await testkernels(['run', ...args])
  expect(await run.program.exit).toEqual({ code: 125, signal: null })
  expect(run.program.stderr).toContain(says)
  expect(run.booted).toEqual([])
})
