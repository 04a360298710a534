import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as passed } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'
import { expect } from 'vitest'
import { type Exit, Program } from '../support/program.ts'
import { type CampaignEngine, CGROUP } from './engine.ts'
import { MARK } from './leftovers.ts'
import { settings } from './settings.ts'
import type { Tools } from './tools.ts'

const main = join(settings.root, 'dist/cli/main.js')
/** What prints when it is there, and stays. */
export const STAYS = ['sh', '-c', 'echo up; exec sleep 1000']
const UP = /^up$/m
/** Longer than anything here takes on a slow machine. */
const DEADLINE_MS = 600_000
const OUTPUT_DEADLINE_MS = 10_000

/** Something that did not come to an end. */
export class Hang extends Error {}

export type Life = 'short' | 'long'

export interface SceneOptions {
  readonly engine: CampaignEngine
  readonly environment: Readonly<Record<string, string>>
  readonly tools: Tools
  /** Of the VMs, in the engine. */
  readonly image: string
  /** The engine's volume that they have their templates in. */
  readonly templates: string
  /** The same numbers for the same try; from 0 to 1. */
  readonly random: () => number
  /** What a life without a fault takes, in milliseconds; the long one has a checkpoint. */
  readonly lifeMs: Record<Life, number>
  /** What a start does. */
  readonly startMs: number
  /** Of the VMs; templates are for one size. */
  readonly memoryMib: number
}

export interface ProgramOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly uid?: number
}

export interface RunOptions extends ProgramOptions {
  /** The command that runs it, with its arguments. @default nobody else */
  readonly under?: readonly string[]
  /** Path of the Node that it runs in. @default this one */
  readonly node?: string
}

/** What one try has: programs of ours, and a moment. All that it started ends with it. */
export class Scene implements AsyncDisposable {
  readonly options: SceneOptions
  readonly #programs: Program[] = []
  readonly #ends: (() => unknown)[] = []

  constructor(options: SceneOptions) {
    this.options = options
  }

  /** A program of the campaign's, by whose environment what it leaves is found. */
  program(argv: readonly string[], { env = {}, uid }: ProgramOptions = {}): Program {
    const environment = { ...process.env, ...this.options.environment, [MARK]: String(this.#programs.length), ...env }
    const program = new Program(argv, { env: environment, ...(uid !== undefined && { uid, gid: uid }) })
    this.#programs.push(program)
    return program
  }

  /** `testkernels run`. */
  run(command: readonly string[], { under = [], node = process.execPath, ...options }: RunOptions = {}): Program {
    const entry = ['--kernel', 'debian:bookworm', '--memory-mib', String(this.options.memoryMib)]
    return this.program([...under, node, main, 'run', ...entry, '--', ...command], options)
  }

  testkernels(args: readonly string[], options?: ProgramOptions): Program {
    return this.program([process.execPath, main, ...args], options)
  }

  life(kind: Life, memoryMib = this.options.memoryMib): Program {
    return this.script('life.mjs', [kind], { memoryMib })
  }

  /** A file of this directory. */
  script(
    name: string,
    args: readonly string[],
    { memoryMib = this.options.memoryMib, ...options }: ProgramOptions & { readonly memoryMib?: number } = {},
  ): Program {
    return this.program([process.execPath, join(import.meta.dirname, name), String(memoryMib), ...args], options)
  }

  /** A directory that is gone when the try is over. */
  directory(name: string): string {
    const path = mkdtempSync(join(this.options.environment['TMPDIR'] ?? '', `${name}-`))
    this.defer(() => rmSync(path, { recursive: true }))
    return path
  }

  /** Done when the try is over, whatever came of it. */
  defer(end: () => unknown): void {
    this.#ends.push(end)
  }

  integer(below: number): number {
    return Math.floor(this.options.random() * below)
  }

  oneOf<const T>(all: readonly [T, ...T[]]): T {
    return all[this.integer(all.length)] ?? all[0]
  }

  /** A moment of what takes so long, for which nothing can be waited: that is what is tried. */
  async moment(ofMs: number): Promise<void> {
    await passed(this.options.random() * ofMs)
  }

  /** The QEMU of a program's VM, once there is one: those of the try before may still be ending, or even come. */
  async qemuOf({ pid: owner }: Program): Promise<number> {
    const { docker } = this.options.engine
    const own = async () => {
      const owned = (await docker.listContainers()).filter(({ Labels }) =>
        Labels['testkernels.owner']?.startsWith(`${owner}@`),
      )
      return qemus().filter((pid) => owned.some(({ Id }) => read(pid, 'cgroup').includes(Id)))
    }
    await expect.poll(own, { timeout: DEADLINE_MS, interval: 20 }).not.toEqual([])
    return (await own())[0] ?? Number.NaN
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends.splice(0).reverse()) await end()
    for (const program of this.#programs) program.kill('SIGKILL')
    // What it started may have its output, and be one of those that are found later.
    await Promise.race([Promise.all(this.#programs.map(({ exit }) => exit)), passed(OUTPUT_DEADLINE_MS)])
  }
}

export async function up(program: Program): Promise<void> {
  await program.printed('stdout', UP, DEADLINE_MS)
}

export function isUp({ stdout }: Program): boolean {
  return UP.test(stdout)
}

export function output({ stdout, stderr }: Program): string {
  return stripVTControlCharacters(stdout + stderr)
}

/** How it ended. @throws Hang */
export async function exit(program: Program, deadlineMs = DEADLINE_MS): Promise<Exit> {
  const late = new AbortController()
  const deadline = passed(deadlineMs, undefined, { signal: late.signal }).then(() => {
    throw new Hang(`no end within ${deadlineMs / 1000} s:\n${output(program)}`)
  })
  try {
    return await Promise.race([program.exit, deadline])
  } finally {
    late.abort()
    deadline.catch(() => {})
  }
}

/** It failed as our programs do: with a status of its own, and an error that has a code. */
export function failedWithCode(program: Program, { code }: Exit): string | undefined {
  if (code === 125 && /^error \[[A-Z_]+\]/m.test(output(program))) return undefined
  return `ended with ${code} and without an error's code:\n${output(program)}`
}

function qemus(): number[] {
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && read(pid, 'comm').startsWith('qemu-system'))
    .filter((pid) => read(pid, 'cgroup').includes(`/${CGROUP}/`))
    .map(Number)
}

/** Empty for a process that has ended. */
function read(pid: string | number, file: string): string {
  try {
    return readFileSync(join('/proc', String(pid), file), 'utf8')
  } catch {
    return ''
  }
}
