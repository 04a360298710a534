import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

const KEPT_LINES = 200
const PANIC = /Kernel panic - not syncing: (.*)/
const INIT_FATAL = /testkernels: init: (.*)/

/** The guest's console: a file for people, and the last lines for error messages. */
export class ConsoleLog {
  readonly path: string
  readonly #file: WriteStream
  readonly #lines: string[] = []
  #panic: string | undefined
  #initFailure: string | undefined

  private constructor(path: string, file: WriteStream) {
    this.path = path
    this.#file = file
  }

  static async open(path: string): Promise<ConsoleLog> {
    await mkdir(dirname(path), { recursive: true })
    const file = createWriteStream(path)
    await once(file, 'open')
    return new ConsoleLog(path, file)
  }

  add(line: string): void {
    this.#file.write(`${line}\n`)
    this.#lines.push(line)
    if (this.#lines.length > KEPT_LINES) this.#lines.shift()
    this.#panic ??= PANIC.exec(line)?.[1]
    this.#initFailure ??= INIT_FATAL.exec(line)?.[1]
  }

  /** Why the guest stopped, as far as its console says: our init's reason before the kernel's. */
  get reason(): string | undefined {
    if (this.#initFailure !== undefined) return this.#initFailure
    return this.#panic === undefined ? undefined : `kernel panic: ${this.#panic}`
  }

  tail(lines = 30): string {
    return this.#lines.slice(-lines).join('\n')
  }

  /** Ends the file; `keep` for a VM that failed. */
  async close(fate: 'keep' | 'remove'): Promise<void> {
    this.#file.end()
    if (!this.#file.closed) await once(this.#file, 'close')
    if (fate === 'remove') await rm(this.path, { force: true })
  }
}
