// `testkernels doctor` on this machine, and on what can be made wrong of it without disturbing it.
import { spawnSync } from 'node:child_process'
import { chmodSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Program } from '../support/program.ts'
import { type RunOptions, testkernels } from '../support/run.ts'
import { isPublic, isRoot } from '../support/users.ts'

interface Finding {
  readonly id: string
  readonly status: 'ok' | 'warning' | 'failure'
  readonly message: string
  readonly remedy: string | null
}

interface Diagnosis {
  readonly code: number | null
  readonly of: (id: string) => Finding | undefined
}

const NOBODYS_UID = 54_321
/** Only root mounts, and starts programs as somebody else, who must be able to read ours. */
const canMount = isRoot && spawnSync('unshare', ['--mount', 'true']).status === 0
const canBeAnybody = isRoot && isPublic(import.meta.dirname)

let directory = ''

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-doctor-'))
})

afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

async function doctor(options: RunOptions = {}): Promise<Diagnosis> {
  await using run = await testkernels(['doctor', '--json'], options)
  return await diagnosis(run.program)
}

/** With its own view of the file system, in which the shell's commands are done first. */
async function doctorIn(prepare: string, env: Readonly<Record<string, string>>): Promise<Diagnosis> {
  const argv = [process.execPath, join(import.meta.dirname, '../../dist/cli/main.js'), 'doctor', '--json']
  const isolated = ['unshare', '--mount', 'sh', '-c', `${prepare} && exec "$@"`, 'sh', ...argv]
  await using program = new Program(isolated, { env: { ...process.env, ...env } })
  return await diagnosis(program)
}

async function diagnosis(program: Program): Promise<Diagnosis> {
  const { code } = await program.exit
  const { checks } = JSON.parse(program.stdout) as { checks: readonly Finding[] }
  return { code, of: (id) => checks.find((check) => check.id === id) }
}

test('a machine that can start VMs is well, and its /dev/kvm is tried with a guest', async () => {
  const { code, of } = await doctor()
  expect(code).toBe(0)
  for (const id of ['node', 'engine', 'engine-storage', 'buildkit', 'tun', 'memory', 'base-image', 'start'])
    expect(of(id)).toMatchObject({ status: 'ok', remedy: null })
  expect(of('kvm')?.message).toMatch(/^works: a guest ran with it$|^is not used, because .*\/dev\/kvm/)
  expect(of('start')?.message).toContain('debian:trixie, cgroup v2')
})

test('an engine that is stopped is a failure with its address, setting and remedy', async () => {
  const { code, of } = await doctor({ env: { DOCKER_HOST: `unix://${directory}/docker.sock` } })
  expect(code).toBe(1)
  expect(of('engine')).toMatchObject({
    status: 'failure',
    message: expect.stringContaining(`unix://${directory}/docker.sock (from DOCKER_HOST)`),
    remedy: expect.stringContaining('systemctl start docker'),
  })
  expect(of('buildkit')).toMatchObject({ status: 'warning', message: expect.stringContaining('not looked at') })
})

test('an engine and a BUILDKIT_HOST that accept and never answer are given up, each at its deadline', async () => {
  const silent = (name: string): Promise<Server> => {
    const server = createServer((socket) => socket.on('error', () => {}))
    return new Promise((resolve) => server.listen(join(directory, name), () => resolve(server)))
  }
  const servers = await Promise.all([silent('docker.sock'), silent('buildkit.sock')])
  try {
    const [engine, buildkit] = await Promise.all([
      doctor({ env: { DOCKER_HOST: `unix://${directory}/docker.sock` } }),
      doctor({ env: { BUILDKIT_HOST: `unix://${directory}/buildkit.sock` } }),
    ])
    expect([engine.code, buildkit.code]).toEqual([1, 1])
    expect(engine.of('engine')).toMatchObject({
      status: 'failure',
      message: expect.stringContaining('did not answer within'),
    })
    expect(buildkit.of('buildkit')).toMatchObject({ status: 'failure', message: 'no answer within 15 s' })
  } finally {
    for (const server of servers) server.close()
  }
})

test.each([
  ['ssh://me:secret@lab', 'ssh://USER@HOST'],
  ['nonsense://x', 'unix:///var/run/docker.sock'],
])('DOCKER_HOST=%s is a failure that says what to write', async (address, remedy) => {
  const { code, of } = await doctor({ env: { DOCKER_HOST: address } })
  expect(code).toBe(1)
  expect(of('engine')).toMatchObject({ status: 'failure', remedy: expect.stringContaining(remedy) })
})

test('tc.host is a failure', async () => {
  await writeFile(join(directory, '.testcontainers.properties'), 'tc.host=tcp://192.0.2.1:2375\n')
  const { code, of } = await doctor({ env: { HOME: directory } })
  expect(code).toBe(1)
  expect(of('testcontainers')).toMatchObject({
    status: 'failure',
    message: expect.stringContaining('tc.host=tcp://192.0.2.1:2375'),
    remedy: expect.stringContaining('remove the line'),
  })
})

test('a variable that cannot be is a failure, and all there is to say', async () => {
  const { code, of } = await doctor({ env: { TESTKERNELS_TEMPLATES_MIB: 'many' } })
  expect(code).toBe(1)
  expect(of('settings')).toMatchObject({ status: 'failure', remedy: 'correct or unset TESTKERNELS_TEMPLATES_MIB' })
})

test.runIf(canMount)('full disks under the cache and the run directory are failures', async () => {
  const fill = (name: string) => {
    const path = join(directory, name)
    return `mkdir ${path} && mount -t tmpfs -o size=512k none ${path}`
  }
  const { code, of } = await doctorIn(`${fill('cache')} && ${fill('run')}`, {
    TESTKERNELS_CACHE_DIR: join(directory, 'cache'),
    TESTKERNELS_RUN_DIR: join(directory, 'run'),
  })
  expect(code).toBe(1)
  for (const [id, variable] of [
    ['cache-directory', 'TESTKERNELS_CACHE_DIR'],
    ['run-directory', 'TESTKERNELS_RUN_DIR'],
  ] as const) {
    expect(of(id)).toMatchObject({
      status: 'failure',
      message: expect.stringContaining('ENOSPC'),
      remedy: expect.stringContaining(variable),
    })
  }
})

test.runIf(canMount)('a machine without tun is told so, before there is an image to try it with', async () => {
  // Without an image that could open it, which a mirror of its own asks for, it is looked for on this machine.
  const { code, of } = await doctorIn('mount -t tmpfs none /dev/net', {
    TESTKERNELS_DEBIAN_MIRROR: 'http://127.0.0.1:1/debian',
  })
  expect(code).toBe(1)
  expect(of('tun')).toMatchObject({
    status: 'failure',
    message: 'there is no /dev/net/tun',
    remedy: expect.stringContaining('modprobe tun'),
  })
})

test.runIf(canBeAnybody)('a user without a home or an entry in passwd gets a diagnosis', async () => {
  chmodSync(directory, 0o777)
  const env = { HOME: '', TMPDIR: directory, TESTKERNELS_RUN_DIR: directory, TESTKERNELS_CACHE_DIR: '' }
  const { code, of } = await doctor({ uid: NOBODYS_UID, env })
  expect(of('cache-directory')).toMatchObject({
    status: 'ok',
    message: expect.stringContaining(join(directory, `testkernels-cache-${NOBODYS_UID}`)),
  })
  expect(of('engine')).toMatchObject({
    status: 'failure',
    message: expect.stringContaining('may not open'),
    remedy: expect.stringContaining('group docker'),
  })
  expect(code).toBe(1)
})

test('Ctrl-C ends it at once, while something is waited for', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(join(directory, 'docker.sock'), resolve))
  try {
    const env = { DOCKER_HOST: `unix://${directory}/docker.sock` }
    await using run = await testkernels(['doctor'], { env })
    await run.program.printed('stdout', /Run directory/)
    run.program.kill('SIGINT')
    expect(await run.program.exit).toEqual({ code: 130, signal: null })
  } finally {
    server.close()
  }
})
