// VMs on which something failed stay until somebody has looked at them: a second program gets in by name.
import { execFile } from 'node:child_process'
import { promisify, stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import { jest } from '../../support/jest.ts'
import { Program } from '../../support/program.ts'
import { type Run, testkernels, vitest } from '../../support/run.ts'

const main = new URL('../../../dist/cli/main.js', import.meta.url).pathname
/** Longer than any test waits for anything. */
const env = { KEEP: '{"minutes":60}' }
const FIXTURE = 'keep-on-failure'

/** What a shell in the VM of this name prints for a script. */
async function inVm({ runDirectory }: Run, name: string, script: string): Promise<string> {
  const shell = { env: { ...process.env, TESTKERNELS_RUN_DIR: runDirectory } }
  await using program = new Program([process.execPath, main, 'shell', name], shell)
  program.input(script)
  const { code } = await program.exit
  expect(code, program.stderr).toBe(0)
  return program.stdout
}

/** The name of the VM that is kept, once it is said. */
async function keptVm({ program }: Run, stream: 'stdout' | 'stderr'): Promise<string> {
  const [, name = ''] = await program.printed(stream, /testkernels shell (\S+)[\s\S]*?DOCKER_HOST=\S+\s/)
  return name
}

const VOLUMES = 'hostname; ls /var/lib/docker/volumes\n'

test.each(['file', 'shared'])('Vitest: the VM of the test that failed, in the project %s', async (project) => {
  await using run = await vitest(FIXTURE, ['--project', project, '--maxWorkers', '1'], { env })
  const name = await keptVm(run, 'stdout')
  const qemus = await run.qemus(1)
  const said = await inVm(run, name, VOLUMES)
  expect(said).toContain(`${name}\n`)
  expect(said).toContain('left-behind')
  const [, dockerHost = ''] = await run.program.printed('stdout', /DOCKER_HOST=(\S+)/)
  const { stdout } = await promisify(execFile)('docker', ['--host', dockerHost, 'volume', 'ls', '--quiet'])
  expect(stdout.split('\n')).toContain('left-behind')
  run.program.kill('SIGINT')
  expect(await run.program.exit).toEqual({ code: 1, signal: null })
  await run.gone(qemus)
})

test.each([
  { project: 'file', args: ['--maxWorkers', '2'] },
  { project: 'shared', args: ['--runInBand'] },
])('Jest: the VM of the test that failed, in the project $project', async ({ project, args }) => {
  await using run = await jest(FIXTURE, ['--selectProjects', project, ...args], {
    env: { ...env, NODE_OPTIONS: '--experimental-vm-modules' },
  })
  const name = await keptVm(run, 'stderr')
  const qemus = await run.qemus(1)
  expect(await inVm(run, name, VOLUMES)).toContain('left-behind')
  run.program.kill('SIGINT')
  expect(await run.program.exit).toEqual({ code: 1, signal: null })
  await run.gone(qemus)
})

test('in a terminal without a limit, until Ctrl-C', async () => {
  await using run = await vitest(FIXTURE, ['--project', 'shared'], { env: { KEEP: 'true', CI: '' }, terminal: true })
  const name = await keptVm(run, 'stdout')
  expect(await inVm(run, name, VOLUMES)).toContain('left-behind')
  run.program.type('\u0003')
  expect((await run.program.exit).code).toBe(1)
  expect(stripVTControlCharacters(run.program.stdout)).toContain('the VM is kept until Ctrl-C:')
  await run.gone()
})

test('without a terminal and a limit the run ends, and says why', async () => {
  await using run = await vitest(FIXTURE, ['--project', 'shared'], { env: { KEEP: 'true' } })
  expect((await run.program.exit).code).toBe(1)
  expect(run.program.stdout).toContain('[shared] warning: a test failed, and its VM is not kept')
  await run.gone()
})

test('at the end of its time the VM ends, and the run with the status of its tests', async () => {
  await using run = await vitest(FIXTURE, ['--project', 'shared'], { env: { KEEP: '{"minutes":0.01}' } })
  expect((await run.program.exit).code).toBe(1)
  expect(run.program.stdout).toContain('the VM is kept for 0.01 min, or until Ctrl-C:')
  await run.gone()
})

test('when all tests pass nothing is kept', async () => {
  await using run = await vitest(FIXTURE, ['--project', 'file', 'passing'], { env })
  expect((await run.program.exit).code).toBe(0)
  await run.gone()
})

test('run --keep-on-failure: the VM of the command that failed, whose status is passed on', async () => {
  const command = ['sh', '-c', 'docker volume create left-behind; exit 3']
  await using run = await testkernels([
    'run',
    '--kernel',
    'debian:bookworm',
    '--name',
    'kept',
    '--keep-on-failure',
    '--',
    ...command,
  ])
  expect(await keptVm(run, 'stderr')).toBe('kept')
  const qemus = await run.qemus(1)
  expect(await inVm(run, 'kept', VOLUMES)).toContain('left-behind')
  run.program.kill('SIGINT')
  expect(await run.program.exit).toEqual({ code: 3, signal: null })
  await run.gone(qemus)
})
