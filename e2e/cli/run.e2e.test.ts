import { execFile } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { testkernels } from '../support/run.ts'

const bookworm = ['run', '--kernel', 'debian:bookworm']

test("a command has the VM's dockerd, our standard input, and standard output to itself; its status is passed on", async ({
  annotate,
}) => {
  const script = "docker info --format '{{.CgroupVersion}} {{.Name}}'; cat; exit 3"
  await using run = await testkernels([...bookworm, '--cgroup', '1', '--name', 'old', '--', 'sh', '-c', script])
  run.program.input('from outside\n')
  const { code } = await run.program.exit
  expect(code).toBe(3)
  expect(run.program.stdout).toBe('1 old\nfrom outside\n')
  expect(run.program.stderr).toMatch(/^starting debian:bookworm, cgroup v1, with .+$/m)
  await annotate(`nothing left after ${await run.gone()} ms`)
  expect(await readdir(run.runDirectory)).toEqual([])
})

test('without a command it prints an environment that works in a shell, and stays up until Ctrl-C', async ({
  annotate,
}) => {
  await using run = await testkernels([...bookworm, '--cgroup', '2'])
  await run.program.printed('stderr', /^The VM is up/m)
  const qemus = await run.qemus()
  expect(run.program.stdout).toMatch(/^export DOCKER_HOST='unix:\/\/.+'$/m)

  const script = `${run.program.stdout}\ndocker info --format '{{.CgroupVersion}}'`
  const { stdout } = await promisify(execFile)('sh', ['-c', script])
  expect(stdout).toBe('2\n')

  run.program.kill('SIGINT')
  await annotate(`nothing left after ${await run.gone(qemus)} ms`)
  expect(await run.program.exit).toEqual({ code: 0, signal: null })
  expect(await readdir(run.runDirectory)).toEqual([])
})
