import { execFileSync } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exitCodeOf } from '../../src/cli/execute.ts'
import type { Program } from '../support/program.ts'
import { damageTemplate } from './damage.ts'
import { exit, failedWithCode, Hang, isUp, output, type RunOptions, type Scene, STAYS, up } from './scene.ts'
import { settings } from './settings.ts'
import type { Tools } from './tools.ts'

/** What ends in an orderly way says after 8 s what it waits for. */
const ORDERLY_MS = 20_000
/** A silent VM is told of after five ticks of a second; this is for a machine that is slow. */
const HEARTBEAT_MS = 60_000
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export interface Outcome {
  /** Where the life was that it hit. */
  readonly phase: string
  /** What is not as it should be. */
  readonly wrong?: string | undefined
}

export interface Fault {
  readonly name: string
  /** How often, beside the others. */
  readonly weight: number
  /** What it cannot be tried without. */
  readonly needs?: keyof Tools
  /** @throws what did not come, which is a wrong verdict too */
  inject(scene: Scene): Promise<Outcome>
}

const right = undefined

export const faults: readonly Fault[] = [
  {
    name: 'SIGKILL of a process with VMs',
    weight: 100,
    inject: async (scene) => {
      const kind = scene.oneOf(['short', 'short', 'short', 'long'])
      for (;;) {
        const life = scene.life(kind)
        const begunMs = performance.now()
        await scene.moment(scene.options.lifeMs[kind])
        life.kill('SIGKILL')
        const { signal, code } = await exit(life)
        const phase = phaseOf(life)
        if (signal === 'SIGKILL') return { phase }
        if (code !== 0) return { phase, wrong: `ended with ${code}:\n${output(life)}` }
        // It was over before: a life takes less than was thought, and this was no fault.
        scene.options.lifeMs[kind] = Math.min(scene.options.lifeMs[kind] * 0.9, performance.now() - begunMs)
      }
    },
  },
  {
    name: 'SIGKILL while a template is made',
    weight: 3,
    inject: async (scene) => {
      // No other has this size.
      const life = scene.life('short', scene.options.memoryMib + 1 + scene.integer(1000))
      await scene.qemuOf(life)
      await scene.moment(12_000)
      life.kill('SIGKILL')
      const { signal } = await exit(life)
      return { phase: 'template', wrong: signal === 'SIGKILL' ? right : `ended with ${signal}:\n${output(life)}` }
    },
  },
  {
    name: 'SIGKILL while an image is built',
    weight: 3,
    inject: async (scene) => {
      // On the machine's engine, which has the caches; nobody else builds this.
      const context = scene.directory('context')
      const base = process.env['TESTKERNELS_E2E_BASE'] ?? ''
      writeFileSync(join(context, 'Dockerfile'), `FROM ${base}\nRUN echo ${scene.options.random()} && sleep 60\n`)
      const rootfs = `dockerfile:${join(context, 'Dockerfile')}`
      const env = { DOCKER_HOST: process.env['DOCKER_HOST'] ?? '' }
      const build = scene.testkernels(['build', '--kernel', 'debian:bookworm', '--rootfs', rootfs], { env })
      await scene.moment(6_000)
      build.kill('SIGKILL')
      const { signal, code } = await exit(build)
      return { phase: 'build', wrong: signal === 'SIGKILL' ? right : `ended with ${code}:\n${output(build)}` }
    },
  },
  ...SIGNALS.map((signal) => ({
    name: signal,
    weight: 10,
    inject: async (scene: Scene) => {
      const run = scene.run(STAYS)
      await scene.moment(scene.options.startMs * 1.3)
      return await endedInOrder(run, signal)
    },
  })),
  {
    name: 'QEMU killed',
    weight: 12,
    inject: async (scene) => {
      const run = scene.run(STAYS)
      const qemu = await scene.qemuOf(run)
      await scene.moment(scene.options.startMs)
      const wasUp = isUp(run)
      const phase = wasUp ? 'run' : 'start'
      killThere(qemu, 'SIGKILL')
      // It may be started again, and be well.
      if (!wasUp && (await isWellAfter(run))) return { ...(await endedInOrder(run, 'SIGTERM')), phase }
      return { phase, wrong: failedWithCode(run, await exit(run)) }
    },
  },
  {
    name: 'QEMU stopped for a while',
    weight: 3,
    inject: async (scene) => {
      const run = scene.run(STAYS)
      await up(run)
      const qemu = await scene.qemuOf(run)
      killThere(qemu, 'SIGSTOP')
      scene.defer(() => killThere(qemu, 'SIGCONT'))
      await run.printed('stderr', /the VM does not answer/, HEARTBEAT_MS)
      killThere(qemu, 'SIGCONT')
      await run.printed('stderr', /the VM answers again/, HEARTBEAT_MS)
      return { ...(await endedInOrder(run, 'SIGTERM')), phase: 'run' }
    },
  },
  {
    name: 'engine stopped, then SIGTERM',
    weight: 5,
    inject: async (scene) => {
      const run = scene.run(STAYS)
      await scene.moment(scene.options.startMs * 1.3)
      const { pid } = scene.options.engine
      process.kill(pid, 'SIGSTOP')
      scene.defer(() => process.kill(pid, 'SIGCONT'))
      run.kill('SIGTERM')
      const phase = isUp(run) ? 'run' : 'start'
      const told = run.printed('stderr', /still ending; once more ends at once/, ORDERLY_MS).catch(() => {})
      await Promise.race([told, exit(run, ORDERLY_MS)])
      run.kill('SIGTERM')
      return { phase, wrong: notThatOf('SIGTERM', await exit(run, ORDERLY_MS), run) }
    },
  },
  ...(['SIGKILL', 'SIGTERM'] as const).map((signal) => ({
    name: signal === 'SIGKILL' ? 'engine killed and started again' : 'engine restarted',
    weight: 2,
    inject: async (scene: Scene) => {
      const run = scene.run(STAYS)
      await scene.moment(scene.options.startMs * 1.3)
      const wasUp = isUp(run)
      const phase = wasUp ? 'run' : 'start'
      await scene.options.engine.restart(signal)
      // One that had not come to the engine yet finds the new one.
      if (!wasUp && (await isWellAfter(run))) return { ...(await endedInOrder(run, 'SIGTERM')), phase }
      return { phase, wrong: failedWithCode(run, await exit(run)) }
    },
  })),
  {
    name: 'full run directory',
    weight: 3,
    inject: async (scene) => {
      const full = mounted(scene, `size=1m,nr_inodes=${2 + scene.integer(14)}`)
      return await endsOrSays(scene.run(['true'], { env: { TESTKERNELS_RUN_DIR: full } }))
    },
  },
  {
    name: 'full cache',
    weight: 3,
    inject: async (scene) => {
      const full = mounted(scene, `size=${4 * (1 + scene.integer(6))}k,nr_inodes=${3 + scene.integer(14)}`)
      return await endsOrSays(scene.run(['true'], { env: { TESTKERNELS_CACHE_DIR: full } }))
    },
  },
  {
    name: 'no room for a template',
    weight: 2,
    inject: async (scene) => {
      const { docker } = scene.options.engine
      const name = `campaign-full-${scene.integer(1_000_000)}`
      const size = `size=${8 + scene.integer(120)}m,mode=0777`
      await docker.createVolume({ Name: name, DriverOpts: { type: 'tmpfs', device: 'tmpfs', o: size } })
      scene.defer(async () => {
        for (const each of [name, `${name}-marks`]) await docker.getVolume(each).remove()
      })
      const run = scene.run(['true'], { env: { TESTKERNELS_TEMPLATE_VOLUME: name } })
      const { code } = await exit(run)
      // It boots cold instead, and says so.
      const isRight = code === 0 && /no space left|No space left/.test(output(run))
      return { phase: 'template', wrong: isRight ? right : `ended with ${code}:\n${output(run)}` }
    },
  },
  {
    name: 'full disk of the engine',
    weight: 4,
    inject: async (scene) => {
      // What the try before left goes with a start, and would give room back.
      await exit(scene.run(['true']))
      const freeMib = scene.integer(60)
      scene.defer(scene.options.engine.fillDisk(freeMib))
      const fill = scene.script('fill-engine.mjs', [])
      const { code } = await exit(fill)
      const phase = /^run$/m.test(fill.stdout) ? 'run' : 'start'
      // What can be said of a start is how far it came; a VM that ran was stopped by QEMU.
      const said = phase === 'start' ? /^failed \[[A-Z_]+\]/m : /^failed \[VM_DIED\].* the disk that holds .* is full/m
      const isRight = code === 0 && said.test(fill.stdout)
      return { phase, wrong: isRight ? right : `with ${freeMib} MiB left ended with ${code}:\n${output(fill)}` }
    },
  },
  {
    name: 'full disk of the guest',
    weight: 3,
    inject: async (scene) => {
      const fill = scene.script('fill-scratch.mjs', [String(scene.integer(2_000))])
      const { code } = await exit(fill)
      const said = [/^overfilled with status 1$/m, /^dockerd answers: OK$/m, /^has room again$/m]
      const isRight =
        code === 0 && said.every((line) => line.test(fill.stdout)) && !/^refused with (?!500$)/m.test(fill.stdout)
      return { phase: 'run', wrong: isRight ? right : `ended with ${code}:\n${output(fill)}` }
    },
  },
  {
    name: 'damaged template',
    weight: 2,
    inject: async (scene) => {
      // That of the start before it.
      await exit(scene.run(['true']))
      const { file, what, isSeen } = damageTemplate(scene)
      const start = scene.run(['true'])
      const { code } = await exit(start)
      const isTold = !isSeen || /its template is damaged: .*; it is made anew/.test(output(start))
      const isRight = code === 0 && isTold
      return { phase: 'template', wrong: isRight ? right : `${file} ${what}: ended with ${code}:\n${output(start)}` }
    },
  },
  {
    name: 'a clock that jumps',
    weight: 4,
    needs: 'faketime',
    inject: async (scene) => {
      const clock = join(scene.directory('clock'), 'offset')
      const set = (seconds: number) => writeFileSync(clock, `${seconds < 0 ? '' : '+'}${seconds}\n`)
      set(0)
      const env = {
        LD_PRELOAD: scene.options.tools.faketime ?? '',
        FAKETIME_TIMESTAMP_FILE: clock,
        // It would look at that every ten seconds.
        FAKETIME_NO_CACHE: '1',
        // What is set on a machine is the time of day: nobody's timers, and no file's.
        FAKETIME_DONT_FAKE_MONOTONIC: '1',
        NO_FAKE_STAT: '1',
      }
      const life = scene.script('life.mjs', ['short'], { env })
      await scene.moment(scene.options.lifeMs.short)
      const phase = phaseOf(life)
      // A second to a month.
      const seconds = scene.oneOf([1, -1]) * Math.round(10 ** (scene.options.random() * 6.4))
      set(seconds)
      const { code } = await exit(life)
      return { phase, wrong: code === 0 ? right : `after ${seconds} s ended with ${code}:\n${output(life)}` }
    },
  },
  {
    name: 'a start beside one in another version of Node',
    weight: 4,
    needs: 'otherNode',
    inject: (scene) => {
      const other = { node: scene.options.tools.otherNode ?? '' }
      return scene.oneOf([true, false]) ? besides(scene, {}, other) : besides(scene, other, {})
    },
  },
  {
    name: 'a start beside one in another PID namespace',
    weight: 4,
    inject: (scene) => besides(scene, { under: ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'] }, {}),
  },
  {
    name: 'a start beside that of another user',
    weight: 4,
    inject: (scene) => {
      const uid = 61_500 + scene.integer(100)
      const cache = scene.directory('cache')
      chmodSync(cache, 0o777)
      chmodSync(scene.options.engine.socketPath, 0o666)
      const other = { uid, env: { TESTKERNELS_CACHE_DIR: cache } }
      return scene.oneOf([true, false]) ? besides(scene, {}, other) : besides(scene, other, {})
    },
  },
]

/** One VM lives while another is started and ended beside it, and is well after that. */
async function besides(scene: Scene, one: RunOptions, another: RunOptions): Promise<Outcome> {
  const living = scene.run(['sh', '-c', 'echo up; read line; docker info --format "still {{.Name}}"'], one)
  await up(living)
  const other = scene.run(['true'], another)
  const { code } = await exit(other)
  if (code !== 0) return { phase: 'start', wrong: `the other ended with ${code}:\n${output(other)}` }
  living.input('go on\n')
  const ended = await exit(living)
  const isWell = ended.code === 0 && living.stdout.includes('still kernel')
  return { phase: 'run', wrong: isWell ? right : `the first ended with ${ended.code}:\n${output(living)}` }
}

/** The last that it said it does. */
function phaseOf(life: Program): string {
  return life.stdout.trim().split('\n').at(-1) || 'before the start'
}

/** What cannot work says why, and what can works. */
async function endsOrSays(run: Program): Promise<Outcome> {
  const ended = await exit(run)
  return { phase: 'start', wrong: ended.code === 0 ? right : failedWithCode(run, ended) }
}

async function endedInOrder(run: Program, signal: NodeJS.Signals): Promise<Outcome> {
  const phase = isUp(run) ? 'run' : 'start'
  run.kill(signal)
  return { phase, wrong: notThatOf(signal, await exit(run, ORDERLY_MS), run) }
}

/** Before Node has come so far as to take signals, it ends by them. */
function notThatOf(signal: NodeJS.Signals, ended: Awaited<ReturnType<typeof exit>>, run: Program): string | undefined {
  if (ended.code === exitCodeOf(signal) || (ended.signal === signal && output(run) === '')) return right
  return `ended with ${ended.signal ?? ended.code} after ${signal}:\n${output(run)}`
}

/** Whether what was hit before its VM was up comes up all the same, and stays. */
async function isWellAfter(run: Program): Promise<boolean> {
  await Promise.race([up(run), exit(run)]).catch(() => {})
  return isUp(run) && (await endsByItself(run, 1_000)) === undefined
}

/** How it ended, or undefined where it goes on. */
async function endsByItself(run: Program, withinMs: number) {
  try {
    return await exit(run, withinMs)
  } catch (thrown) {
    if (thrown instanceof Hang) return undefined
    throw thrown
  }
}

function mounted(scene: Scene, options: string): string {
  const path = scene.directory('full')
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', path])
  scene.defer(() => execFileSync('umount', [path]))
  return path
}

/** Process ids come back, but not so soon. */
function killThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself.
  }
}

/** One of those that can be tried. Another number draws the same where all can. */
export function draw(random: () => number, tools: Tools): Fault {
  // As often in the list as it weighs.
  const weighed = faults
    .filter(({ name }) => name.includes(settings.only))
    .flatMap((fault) => Array.from({ length: fault.weight }, () => fault))
  if (!weighed.some(({ needs }) => needs === undefined || tools[needs] !== undefined))
    throw new Error(`no fault that can be tried is named like '${settings.only}'`)
  for (;;) {
    const fault = weighed[Math.floor(random() * weighed.length)]
    if (fault !== undefined && (fault.needs === undefined || tools[fault.needs] !== undefined)) return fault
  }
}
