import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import Docker from 'dockerode'
import { expect } from 'vitest'
import { Program } from './program.ts'

const root = join(import.meta.dirname, '../..')
/** Where these programs remember things; their consoles are in it. */
export const cacheDirectory = join(root, '.testkernels/cache')
const docker = new Docker()
/** The requirement is 5 s on a machine at rest; this is for one that is not. */
const CLEAN_DEADLINE_MS = 30_000
const BOOT_DEADLINE_MS = 120_000

export interface RunOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  readonly uid?: number
  /** @default that of the user's number */
  readonly gid?: number
}

/** A program of ours in a directory for sockets of its own, and what it has in the engine. */
export class Run implements AsyncDisposable {
  readonly program: Program
  readonly runDirectory: string

  private constructor(program: Program, runDirectory: string) {
    this.program = program
    this.runDirectory = runDirectory
  }

  static async start(argv: readonly string[], { cwd, env, uid, gid = uid }: RunOptions = {}): Promise<Run> {
    const runDirectory = await mkdtemp(join(tmpdir(), 'tk-e2e-'))
    const environment = {
      ...process.env,
      TESTKERNELS_RUN_DIR: runDirectory,
      TESTKERNELS_CACHE_DIR: cacheDirectory,
      ...env,
    }
    const options = {
      env: environment,
      ...(cwd !== undefined && { cwd }),
      ...(uid !== undefined && { uid }),
      ...(gid !== undefined && { gid }),
    }
    return new Run(new Program(argv, options), runDirectory)
  }

  /** The entries whose VMs were started, from the lines that say so, in alphabetical order. */
  get booted(): string[] {
    // Test runners in a terminal erase what was on a line before they write it. The command line has all lines for its own.
    const output = stripVTControlCharacters(this.program.stdout + this.program.stderr)
    return [...output.matchAll(/^(?:testkernels )?\[(.+)\] starting /gm)].map(([, name]) => name ?? '').sort()
  }

  /** Our containers of this program, in whatever state. */
  async containers(): Promise<string[]> {
    const all = await docker.listContainers({ all: true, filters: { label: ['testkernels.owner'] } })
    const owners = [this.program.pid, ...childrenOf(this.program.pid)]
    return all
      .filter(({ Labels }) => owners.some((pid) => Labels['testkernels.owner']?.startsWith(`${pid}@`)))
      .map(({ Id }) => Id)
  }

  /** Resolves to the process ids of QEMU once `vms` of them run. */
  async qemus(vms = 1): Promise<number[]> {
    return await expect
      .poll(() => this.#findQemus(), { timeout: BOOT_DEADLINE_MS })
      .toHaveLength(vms)
      .then(() => this.#findQemus())
  }

  async #findQemus(): Promise<number[]> {
    const tops = (await this.containers()).map((id) => docker.getContainer(id).top({ ps_args: '-eo pid,comm' }))
    // A container that is being made or removed has no processes, or the engine lists none.
    const found = (await Promise.allSettled(tops)).flatMap((top) =>
      top.status === 'fulfilled' ? (top.value.Processes ?? []) : [],
    )
    return found.filter(([, name]) => name?.startsWith('qemu-system')).map(([pid]) => Number(pid))
  }

  /**
   * But for those by which the next start sees that their owner is dead (src/files/owned-directory.ts), and those at which workers ask for
   * reports (src/matrix/report-server.ts): no box has their directory, and the next start takes it away.
   */
  get sockets(): string[] {
    const names = readdirSync(this.runDirectory, { recursive: true, encoding: 'utf8' })
    return names
      .filter((name) => !/\/(alive|[0-9a-f]{6})\.sock$/.test(name))
      .filter((name) => lstatSync(join(this.runDirectory, name), { throwIfNoEntry: false })?.isSocket())
  }

  /**
   * Waits until no container, no QEMU and no socket of this program is left.
   * @returns the milliseconds it took
   */
  async gone(qemus: readonly number[] = []): Promise<number> {
    const start = performance.now()
    await expect
      .poll(
        async () => ({
          containers: await this.containers(),
          qemus: qemus.filter(isQemu),
          sockets: this.sockets,
        }),
        { timeout: CLEAN_DEADLINE_MS, interval: 50 },
      )
      .toEqual({ containers: [], qemus: [], sockets: [] })
    return Math.round(performance.now() - start)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.program[Symbol.asyncDispose]()
    await rm(this.runDirectory, { recursive: true, force: true })
  }
}

/** A program in a terminal is the child of who has the terminal. */
function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number)
  } catch {
    return []
  }
}

/** Process ids come back: it must still be a QEMU. */
export function isQemu(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('qemu-system')
  } catch {
    return false
  }
}

/** The same in a terminal of its own, which it reads keys from; its output is all on standard output. */
export function inTerminal(argv: readonly string[]): string[] {
  const quoted = argv.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
  return ['script', '--quiet', '--return', '--flush', '--command', `exec ${quoted}`, '/dev/null']
}

/** `testkernels ARGS`, as a user runs it. */
export function testkernels(args: readonly string[], options?: RunOptions): Promise<Run> {
  return Run.start(testkernelsArgv(args), options)
}

export function testkernelsArgv(args: readonly string[]): string[] {
  return [process.execPath, join(root, 'dist/cli/main.js'), ...args]
}

/** A script of the shell, in which `"$@"` is `testkernels`. */
export function shell(script: string, options?: RunOptions): Promise<Run> {
  return Run.start(['sh', '-c', script, 'sh', process.execPath, join(root, 'dist/cli/main.js')], options)
}

export interface VitestOptions extends RunOptions {
  /** @default 'run' */
  readonly command?: string
  /** Whether it has a terminal of its own. */
  readonly terminal?: boolean
  /** The command that runs it, with its arguments. @default nobody else */
  readonly under?: readonly string[]
}

/** `vitest run ARGS` in a fixture's directory; or another of Vitest's commands. */
export function vitest(
  fixture: string,
  args: readonly string[],
  { command = 'run', terminal = false, under = [], ...options }: VitestOptions = {},
): Promise<Run> {
  const cli = join(root, 'node_modules/vitest/vitest.mjs')
  const cwd = join(root, 'fixtures', fixture)
  const argv = [...under, process.execPath, cli, command, ...args]
  return Run.start(terminal ? inTerminal(argv) : argv, {
    ...options,
    cwd,
    env: { NO_COLOR: '1', ...options.env },
  })
}
