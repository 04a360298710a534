import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, rmSync, statfsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as passed } from 'node:timers/promises'
import Docker from 'dockerode'
import { expect } from 'vitest'
import { NOWHERE } from '../support/isolated-engine.ts'
import { Program } from '../support/program.ts'
import { engineProcesses } from './engine-processes.mjs'

const START_DEADLINE_MS = 60_000
/** For an image, templates, and the disks of some VMs. */
const DATA_MIB = 5120
/** Of all that the engine runs: how processes are found that it lost. */
export const CGROUP = 'testkernels-campaign'

/**
 * An engine that may be stopped and killed: nobody else's. Its images and volumes stay for the next campaign, and its network is a
 * namespace of its own. See support/isolated-engine.ts. It ends with this process, however that ends: see engine-keeper.mjs.
 */
export class CampaignEngine implements AsyncDisposable {
  readonly docker: Docker
  readonly socketPath: string
  readonly #directory: string
  readonly #keeper: ChildProcess
  #program!: Program

  private constructor(directory: string) {
    this.#directory = directory
    this.socketPath = socketIn(directory)
    const keeper = [join(import.meta.dirname, 'engine-keeper.mjs'), directory, this.socketPath, this.#data]
    // A worker of Vitest outlives its main process, which ends at once when it is told to.
    process.once('disconnect', () => process.exit(1))
    this.#keeper = spawn(process.execPath, keeper, { detached: true, stdio: ['pipe', 'ignore', 'inherit'] })
    this.docker = new Docker({ socketPath: this.socketPath })
  }

  static async start(directory: string): Promise<CampaignEngine> {
    await mkdir(directory, { recursive: true })
    await writeFile(join(directory, 'daemon.json'), '{}')
    const engine = new CampaignEngine(directory)
    await engine.#mountData()
    await engine.#launch()
    return engine
  }

  get dockerHost(): string {
    return `unix://${this.socketPath}`
  }

  get pid(): number {
    return this.#program.pid
  }

  /** Ends it, and starts it again. */
  async restart(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#program.kill(signal)
    await this.#program.exit
    // One that starts beside the containerd of the former waits for that, and then gives up.
    await expect.poll(() => engineProcesses(this.#directory, 'containerd '), { timeout: START_DEADLINE_MS }).toEqual([])
    await this.#launch()
  }

  get #data(): string {
    return join(this.#directory, 'data')
  }

  /** What it has is on a disk of its own, which can be full. */
  async #mountData(): Promise<void> {
    const disk = join(this.#directory, 'data.ext4')
    await mkdir(this.#data, { recursive: true })
    if (spawnSync('mountpoint', ['--quiet', this.#data]).status === 0) return
    if (!existsSync(disk)) {
      execFileSync('truncate', ['--size', `${DATA_MIB}M`, disk])
      execFileSync('mkfs.ext4', ['-q', '-m', '0', disk])
    }
    execFileSync('mount', ['-o', 'loop', disk, this.#data])
  }

  /** Leaves so much room on it, until what it returns is called. */
  fillDisk(freeMib: number): () => void {
    const filler = join(this.#data, 'filler')
    const { blocks, bavail, bsize } = statfsSync(this.#data)
    if (blocks * bsize > DATA_MIB * 1024 ** 2) throw new Error(`${this.#data} is on the disk of the machine`)
    execFileSync('fallocate', ['--length', String(bavail * bsize - freeMib * 1024 ** 2), filler])
    return () => rmSync(filler)
  }

  /** Where the files of a volume are. */
  volume(name: string): string {
    return join(this.#data, 'volumes', name, '_data')
  }

  /** Has the image that the machine's engine has. */
  async load(image: string): Promise<void> {
    const found = await this.docker
      .getImage(image)
      .inspect()
      .catch(() => undefined)
    if (found !== undefined) return
    const save = spawn('docker', ['save', image], { stdio: ['ignore', 'pipe', 'inherit'] })
    await text(await this.docker.loadImage(save.stdout, { quiet: true }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#keeper.stdin?.end()
    const [code] = await once(this.#keeper, 'close')
    expect(code, 'the engine of the campaign has ended').toBe(0)
  }

  /** One that gives up is started again, as systemd does. */
  async #launch(): Promise<void> {
    const deadline = AbortSignal.timeout(START_DEADLINE_MS)
    for (let program: Program | undefined; ; ) {
      program ??= await launch(this.#directory)
      this.#program = program
      const ended = program.exit.then(() => true)
      const answers = this.docker.ping().then(
        () => 'answers' as const,
        () => passed(100),
      )
      if ((await Promise.race([answers, ended])) === 'answers') return
      if (deadline.aborted) throw new Error(`the engine does not answer:\n${program.stderr.slice(-5_000)}`)
      if (await Promise.race([ended, passed(0)])) program = undefined
    }
  }
}

function socketIn(directory: string): string {
  return join(directory, 'docker.sock')
}

async function launch(directory: string): Promise<Program> {
  // What a killed one left: it would take the numbers for processes that run, until somebody has heard of their end.
  for (const file of ['pid', 'exec/containerd/containerd.pid']) await rm(join(directory, file), { force: true })
  const options = {
    'data-root': join(directory, 'data'),
    'exec-root': join(directory, 'exec'),
    pidfile: join(directory, 'pid'),
    'config-file': join(directory, 'daemon.json'),
    host: `unix://${socketIn(directory)}`,
    'cgroup-parent': `/${CGROUP}`,
    iptables: 'false',
  }
  const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`)
  const env = { ...process.env, HTTP_PROXY: NOWHERE, HTTPS_PROXY: NOWHERE, NO_PROXY: '' }
  return new Program(['unshare', '--net', 'dockerd', ...args], { env })
}

/** Whether this machine has what the campaign does to it. */
export function canCampaign(): boolean {
  if (process.getuid?.() !== 0 || !existsSync('/proc/self/ns/pid')) return false
  try {
    execFileSync('unshare', ['--net', '--mount', 'dockerd', '--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
