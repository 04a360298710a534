// Whose a thing is, is told by the engine, so that it does not matter who asks: each owner here is alone in his PID namespace, or another user.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { type Engine, newRun, prune, runLabels } from '../../src/engine/index.ts'
import { baseImage } from '../support/env.ts'
import { Program } from '../support/program.ts'
import { thingsOf } from '../support/things.ts'
import { engineGid, isPublic, isRoot, NOBODY } from '../support/users.ts'

const runAttached = join(import.meta.dirname, 'run-attached.mjs')
const main = join(import.meta.dirname, '../../dist/cli/main.js')
const GONE_DEADLINE_MS = 60_000

/** Who starts a program. */
interface Somebody {
  readonly who: string
  /** What the program is started by. */
  readonly under: readonly string[]
  readonly ids?: { readonly uid: number; readonly gid: number }
}

const me: Somebody = { who: 'this user', under: [] }
const inAnotherPidNamespace: Somebody = {
  who: 'a process of another PID namespace',
  under: ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'],
}
const nobody: Somebody = { who: 'another user', under: [], ids: { uid: NOBODY, gid: engineGid } }
const canUnshare = isRoot && spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']).status === 0
const others = [
  ...(canUnshare ? [inAnotherPidNamespace] : []),
  // Only root starts programs as somebody else, who must be able to read ours.
  ...(isRoot && engineGid !== 0 && isPublic(import.meta.dirname) ? [nobody] : []),
]

let engine: Engine
beforeAll(async () => {
  const { engineUnderTest } = await import('./support.ts')
  engine = await engineUnderTest()
})

const cleanUps: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp().catch(() => {})
})

function start(argv: readonly string[], { under, ids }: Somebody): Program {
  return new Program([...under, process.execPath, ...argv], { ...ids })
}

interface Owner {
  readonly run: string
  readonly things: readonly string[]
  /** Ends him at once; resolves when his container is gone. */
  kill(): Promise<void>
}

/** An owner with a container that runs and a volume that it has. */
async function startOwner(somebody: Somebody): Promise<Owner> {
  const run = newRun()
  const volume = `testkernels-e2e-${run}`
  const program = start([runAttached, baseImage, JSON.stringify(runLabels(run)), volume], somebody)
  cleanUps.push(
    () => engine.docker.getVolume(volume).remove(),
    async () => await kill(),
  )
  const [id = ''] = await program.printed('stdout', /\w{64}/)
  const kill = async () => {
    await program[Symbol.asyncDispose]()
    await expect.poll(() => thingsOf(engine, run), { timeout: GONE_DEADLINE_MS }).not.toContain(`container ${id}`)
  }
  return { run, things: [`container ${id}`, `volume ${volume}`], kill }
}

test.each([me, ...others])(
  '$who removes what a killed owner left, and nothing of the living, whoever they are',
  async (pruner) => {
    const killed = await startOwner(others[0] ?? me)
    const living: Owner[] = []
    for (const somebody of [me, ...others]) living.push(await startOwner(somebody))
    await killed.kill()
    // His container goes by itself, and his volume does not.
    expect(await thingsOf(engine, killed.run)).toEqual([expect.stringMatching(/^volume /)])

    const program = start([main, 'prune'], pruner)
    expect((await program.exit).code, program.stderr).toBe(0)

    expect(program.stderr).toContain(`removed ${killed.things[1]}`)
    expect(await thingsOf(engine, killed.run)).toEqual([])
    for (const { run, things } of living) expect(await thingsOf(engine, run)).toEqual(things)
  },
)

test('prunes that run at the same time do not get in each other’s way', async () => {
  const killed = await startOwner(me)
  await killed.kill()
  await Promise.all([prune(engine), prune(engine), prune(engine)])
  expect(await thingsOf(engine, killed.run)).toEqual([])
})
