import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fixtureTar } from '../../support/env.ts'
import { testkernels } from '../../support/run.ts'

const file = join(import.meta.dirname, '../../../fixtures/matrix/testkernels.config.ts')
const matrix = ['run', '--matrix', file]

test('--parallel runs the entries side by side: each waits for the other', async () => {
  // In turn it would wait for ever.
  const script = 'touch "$MEET/$TESTKERNELS_ENTRY"; until [ "$(ls "$MEET" | wc -l)" = 2 ]; do sleep 0.1; done; echo met'
  await using run = await testkernels([
    ...matrix,
    '--parallel',
    '--',
    'sh',
    '-c',
    `MEET=$TESTKERNELS_RUN_DIR/meet; mkdir -p $MEET; ${script}`,
  ])
  expect(await run.program.exit).toEqual({ code: 0, signal: null })
  expect(run.program.stdout).toContain('[bookworm-cgroupv1] met\n')
  expect(run.program.stdout).toContain('[bookworm-cgroupv2] met\n')
  await run.gone()
})

test('an entry whose VM dies has failed with the reason, and its command ends; the others go on', async () => {
  const panic = `docker load --quiet --input ${fixtureTar}; docker run --rm --privileged testkernels-fixture/busybox sh -c 'echo c >/proc/sysrq-trigger'; exec sleep 1000`
  const script = `if [ "$TESTKERNELS_ENTRY" = bookworm-cgroupv1 ]; then ${panic}; fi; echo through`
  await using run = await testkernels([...matrix, '--', 'sh', '-c', script])
  expect(await run.program.exit).toEqual({ code: 125, signal: null })
  expect(run.program.stdout).not.toContain('[bookworm-cgroupv1] through')
  expect(run.program.stdout).toContain('[bookworm-cgroupv2] through')
  expect(run.program.stderr).toMatch(
    /^bookworm-cgroupv1 +debian:bookworm +[\d.]+ s +failed: .*kernel panic: sysrq triggered crash/m,
  )
  expect(run.program.stderr).toMatch(/^bookworm-cgroupv2 +debian:bookworm +[\d.]+ s +passed$/m)
  await run.gone()
})

test('--no-template boots every entry cold', async () => {
  await using run = await testkernels([...matrix, '--no-template', '--', 'true'])
  expect(await run.program.exit).toEqual({ code: 0, signal: null })
  const starts = run.program.stderr.match(/ready in .*/g) ?? []
  expect(starts).toHaveLength(2)
  for (const start of starts) {
    expect(start).toMatch(/ kernel [\d.]+, init /)
    expect(start).not.toContain('restore')
  }
  await run.gone()
})

test('Ctrl-C ends the command, and the rest is not run', async () => {
  await using run = await testkernels([...matrix, '--', 'sh', '-c', 'echo up; exec sleep 1000'])
  await run.program.printed('stdout', /^\[bookworm-cgroupv1\] up$/m)
  const qemus = await run.qemus()
  run.program.kill('SIGINT')
  expect(await run.program.exit).toEqual({ code: 130, signal: null })
  expect(run.program.stderr).toMatch(/^bookworm-cgroupv2 .* not run$/m)
  await run.gone(qemus)
})
