import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Docker from 'dockerode'
import {
  type Buildkit,
  connectBuildkit,
  type Definition,
  exporters,
  llb,
  type SolveStatus,
} from '../../src/buildkit/index.ts'
import { platform } from '../support/platform.ts'

/** The engine under test. */
export function endpoint(): { kind: 'docker' } & ({ socketPath: string } | { host: string; port: number }) {
  const { protocol, pathname, hostname, port } = new URL(process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock')
  if (protocol === 'unix:') return { kind: 'docker', socketPath: pathname }
  return { kind: 'docker', host: hostname, port: Number(port) }
}

/** An engine in a VM has a loopback device of its own, and cannot reach servers of this machine there. */
export const sharesLoopback = process.env['DOCKER_HOST'] === undefined

export const docker = new Docker(
  process.env['DOCKER_HOST'] === undefined ? { socketPath: '/var/run/docker.sock' } : undefined,
)

/** An image of the engine under test that has a shell and coreutils. */
export function baseRef(): string {
  const ref = process.env['TESTKERNELS_E2E_BASE']
  if (ref === undefined)
    throw new Error('set TESTKERNELS_E2E_BASE to an image in the engine that has /bin/sh and coreutils')
  return ref
}

export const connect = (): Promise<Buildkit> => connectBuildkit(endpoint())

/** Makes a step or a name differ from that of any other run of the tests, so that no cache has it. */
export const unique = (): string => randomBytes(6).toString('hex')

/**
 * Makes steps of which only one at a time runs, because they share a locked cache mount: who runs after one that sleeps did not wait
 * for the end of its sleep.
 */
export function oneAtATime(): (script: string) => Definition {
  const id = unique()
  return (script) =>
    llb
      .image(baseRef(), { platform })
      .run({ script: `: ${id}; ${script}`, mounts: [llb.cache('/lock', { id, sharing: 'locked' })] })
      .definition()
}

/** Calls `then` with each status of a solve whose output has `text` in it by then. */
export function onceLogged(text: string, then: () => void): (status: SolveStatus) => void {
  let output = ''
  return ({ logs }) => {
    output += logs.map(({ data }) => Buffer.from(data).toString()).join('')
    if (output.includes(text)) then()
  }
}

export interface Scratch extends AsyncDisposable {
  readonly path: string
}

export async function scratchDir(): Promise<Scratch> {
  const path = await mkdtemp(join(tmpdir(), 'testkernels-buildkit-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** Solves into `directory`. */
export async function solveInto(
  buildkit: Buildkit,
  directory: string,
  request: { definition: Definition } & Omit<Parameters<Buildkit['solve']>[0], 'exporter'>,
): Promise<void> {
  await buildkit.solve({ ...request, exporter: exporters.local({ directory }) })
}
