import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { onTestFinished, TestRunner } from 'vitest'
import { lookForAlarms } from './false-alarms.ts'

/** A build of an image may come before what is waited for. */
const DEADLINE_MS = 240_000

/** How a program ended, as a shell would say it. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A child process whose output is read as it comes. */
export class Program implements AsyncDisposable {
  readonly pid: number
  readonly exit: Promise<Exit>
  stdout = ''
  stderr = ''
  readonly #child: ChildProcess
  #isLookedAt = false

  constructor(argv: readonly string[], options: Pick<SpawnOptions, 'cwd' | 'env' | 'uid' | 'gid'> = {}) {
    const [program = '', ...args] = argv
    this.#child = spawn(program, args, { ...options, stdio: 'pipe' })
    this.pid = this.#child.pid ?? Number.NaN
    this.#child.stdout?.on('data', (chunk) => {
      this.stdout += chunk
    })
    this.#child.stderr?.on('data', (chunk) => {
      this.stderr += chunk
    })
    // `close`, not `exit`: all output has come.
    this.exit = once(this.#child, 'close').then(([code, signal]) => ({ code, signal }))
    // A test that times out is left where it waits, and never comes to the end of its `await using`.
    if (TestRunner.getCurrentTest() !== undefined) onTestFinished(() => this[Symbol.asyncDispose]())
  }

  /** Resolves when the pattern is in the output. */
  async printed(
    stream: 'stdout' | 'stderr',
    pattern: RegExp,
    deadlineMs: number = DEADLINE_MS,
  ): Promise<RegExpExecArray> {
    const deadline = AbortSignal.timeout(deadlineMs)
    for (;;) {
      const found = pattern.exec(this[stream])
      if (found !== null) return found
      const more = once(this.#child[stream] ?? this.#child, 'data', { signal: deadline })
      const ended = this.exit.then(({ code, signal }) => {
        const late = pattern.exec(this[stream])
        if (late === null)
          throw new Error(`ended (${signal ?? code}) without ${pattern}:\n${this.stdout}${this.stderr}`)
      })
      await Promise.race([more, ended])
    }
  }

  /** What it reads on standard input, to the end. */
  input(text: string): void {
    this.#child.stdin?.end(text)
  }

  /** Keys that it reads on standard input, which stays open. */
  type(keys: string): void {
    this.#child.stdin?.write(keys)
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.exit
    if (!this.#isLookedAt) lookForAlarms(this.stdout + this.stderr)
    this.#isLookedAt = true
  }
}
