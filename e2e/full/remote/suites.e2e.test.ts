// The suites of `npm test` that run in VMs, on an engine of another machine: a second dockerd in a network of its own, which has one link to
// this one, no way out and no file in common, over each way to reach it. Jest beside them. The images are carried there, as a registry would.
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  canIsolate,
  type IsolatedEngine,
  linkTo,
  loadImagesInto,
  startIsolatedEngine,
} from '../../support/isolated-engine.ts'
import { jest } from '../../support/jest.ts'
import { Certificates } from '../../support/remote-engine.ts'
import { Run, testkernels } from '../../support/run.ts'
import { buildSshServer, makeSshClient, SSH_SERVER_IMAGE, startSshServer } from '../../support/ssh-server.ts'

const run = promisify(execFile)
const root = join(import.meta.dirname, '../../..')
/** For documentation (RFC 5737), so that no network has them. */
const [HERE, THERE] = ['198.51.100.5', '198.51.100.6']
const PORT = 2375
const BASE = 'testkernels/base:trixie'
/** The engine's, which nobody is asked for images at: all that is needed is carried there. */
const MIRROR = 'http://mirror.example.org:5000/'
const LINK = `tk-suite-${process.pid}`
/** Gigabytes are carried, emulated guests boot for the first time, and whole suites run. */
const TEST_TIMEOUT_MS = 60 * 60_000
const GONE_DEADLINE_MS = 60_000
/** The gateway of host.docker.internal is the engine's machine, which here is another than that of the test (docs/network.md). */
const NOT_FAR = 'host.docker.internal:host-gateway is this machine'

type Kind = 'ssh' | 'tcp' | 'tls'
/** Beside cgroupv2, which has the tests of the forward. */
const projects: Readonly<Record<Kind, readonly string[]>> = {
  ssh: ['cgroupv1', 'cgroupv2'],
  tcp: ['cgroupv2'],
  tls: ['cgroupv2', 'kernels'],
}

/** Those of all entries. */
const machines = [
  ['--kernel', 'debian:bookworm', '--cgroup', '1'],
  ['--kernel', 'debian:bookworm', '--cgroup', '2'],
  ['--kernel', 'debian:trixie', '--cgroup', '2'],
]
/** Of a cold boot beside all that this machine does otherwise; entries have the default. */
const BOOT_TIMEOUT_MS = 20 * 60_000

let directory: string
let certificates: Certificates

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-suites-'))
  certificates = await Certificates.make(THERE)
  await buildSshServer(directory)
  await using engine = await start('tcp')
  const built = await Promise.all(['debian:bookworm', 'debian:trixie'].map(imageOf))
  await loadImagesInto(engine, [BASE, ...built, SSH_SERVER_IMAGE])
  for (const machine of machines) await saveTemplate(engine, machine)
}, TEST_TIMEOUT_MS)

/** The name of a kernel's image: under that it is found, and not built again. */
async function imageOf(kernel: string): Promise<string> {
  const { stdout: id } = await run(process.execPath, [join(root, 'dist/cli/main.js'), 'build', '--kernel', kernel])
  const format = ['--format', '{{index .RepoTags 0}}']
  return (await run('docker', ['image', 'inspect', ...format, id.trim()])).stdout.trim()
}

/** Boots once for all runs, with more time than they have. */
async function saveTemplate({ dockerHost }: IsolatedEngine, machine: readonly string[]): Promise<void> {
  const args = ['run', ...machine, '--boot-timeout-ms', String(BOOT_TIMEOUT_MS), '--', 'true']
  await using boot = await testkernels(args, { env: { DOCKER_HOST: dockerHost } })
  const { code } = await boot.program.exit
  expect(code, boot.program.stderr).toBe(0)
}

afterAll(async () => {
  await certificates[Symbol.asyncDispose]()
  await rm(directory, { recursive: true, force: true })
})

/** The one engine, which keeps its images and volumes, with what it listens at for this way. */
function start(kind: Kind): Promise<IsolatedEngine> {
  const tls = [
    '--tlsverify',
    ...['--tlscacert', certificates.file('ca')],
    ...['--tlscert', certificates.file('server-cert'), '--tlskey', certificates.file('server-key')],
  ]
  const entrance = kind === 'ssh' ? [] : ['--host', `tcp://0.0.0.0:${PORT}`, ...(kind === 'tls' ? tls : [])]
  const flags = ['--registry-mirror', MIRROR, ...entrance]
  return startIsolatedEngine({ storageDriver: 'overlay2', directory: join(directory, 'engine'), flags })
}

/** Whose socket no program of this test is told. */
const dockerOf =
  ({ dockerHost }: IsolatedEngine) =>
  async (...args: string[]) =>
    (await run('docker', ['--host', dockerHost, ...args])).stdout.trim()

/** How programs reach the engine. */
async function environmentFor(kind: Kind, engine: IsolatedEngine): Promise<Readonly<Record<string, string>>> {
  if (kind !== 'ssh')
    return {
      DOCKER_HOST: `tcp://${THERE}:${PORT}`,
      ...(kind === 'tls' && { DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: certificates.directory }),
    }
  const socket = engine.dockerHost.replace('unix://', '')
  const network = ['--network', 'host']
  const { hostKey } = await startSshServer({ docker: dockerOf(engine), socket, network, directory })
  return await makeSshClient({ directory, address: THERE, port: '22', hostKey })
}

async function nothingRunsOn(engine: IsolatedEngine): Promise<void> {
  const docker = new Docker({ socketPath: engine.dockerHost.replace('unix://', '') })
  const left = async () => {
    const all = await docker.listContainers({ all: true, filters: { label: ['testkernels.owner'] } })
    return all.map(({ Names }) => Names)
  }
  await expect.poll(left, { timeout: GONE_DEADLINE_MS }).toEqual([])
}

describe.runIf(canIsolate).each(['tcp', 'tls', 'ssh'] as const)('over %s', (kind) => {
  let engine: IsolatedEngine
  let link: AsyncDisposable
  let env: Readonly<Record<string, string>>

  beforeAll(async () => {
    engine = await start(kind)
    link = await linkTo(engine, { name: LINK, here: HERE, there: THERE })
    env = await environmentFor(kind, engine)
  }, TEST_TIMEOUT_MS)
  afterAll(async () => {
    await link?.[Symbol.asyncDispose]()
    await engine?.[Symbol.asyncDispose]()
  }, TEST_TIMEOUT_MS)

  test("a guest's dockerd has the engine's registry mirror", { timeout: TEST_TIMEOUT_MS }, async () => {
    const ask = ['docker', 'info', '--format', '{{json .RegistryConfig.Mirrors}}']
    await using asked = await testkernels(['run', ...(machines[0] ?? []), '--', ...ask], { env })
    expect(await asked.program.exit, asked.program.stderr).toMatchObject({ code: 0 })
    expect(JSON.parse(asked.program.stdout)).toEqual([MIRROR])
  })

  test.each(projects[kind])('the suite %s', { timeout: TEST_TIMEOUT_MS }, async (project) => {
    const vitest = [process.execPath, join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', project]
    const pattern = ['--testNamePattern', `^(?!.*${NOT_FAR})`]
    await using suite = await Run.start([...vitest, ...pattern], { cwd: root, env: { NO_COLOR: '1', ...env } })
    const { code } = await suite.program.exit
    expect(code, suite.program.stdout + suite.program.stderr).toBe(0)
    expect(suite.program.stdout).toMatch(/^ +Tests +\d+ passed/m)
    await nothingRunsOn(engine)
  })

  test('Jest: two kernels, a suite over both, and child processes', { timeout: TEST_TIMEOUT_MS }, async () => {
    const expected = { EXPECTED_DOCKER_HOST: env['DOCKER_HOST'] ?? '' }
    await using demo = await jest('jest-demo', [], { env: { ...env, ...expected } })
    const { code } = await demo.program.exit
    expect(code, demo.program.stderr).toBe(0)
    expect(demo.program.stderr).toMatch(/^Test Suites: 6 passed, 6 total$/m)
    expect(demo.booted).toEqual(['bookworm-cgroupv1', 'bookworm-cgroupv2'])
    await nothingRunsOn(engine)
  })
})
