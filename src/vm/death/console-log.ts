import { EventEmitter, on, once } from 'node:events'
import { createReadStream, createWriteStream, existsSync, type WriteStream } from 'node:fs'
import { mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { removeOlder } from '../../files/index.ts'
import type { Settings } from '../../options/index.ts'
import { DirectoryUnusableError } from '../errors.ts'

const KEPT_LINES = 200
const LINES_BEFORE_REASON = 20
const LINES_AFTER_REASON = 10
const PANIC = /Kernel panic - not syncing: (.*)/
const INIT_FATAL = /testkernels: init: (.*)/
/** The consoles of VMs that failed are kept for this long. */
const KEPT_MS = 7 * 24 * 3_600_000

/** The guest's console: a file for people, and the last lines for error messages. */
export class ConsoleLog {
  readonly path: string
  readonly #file: WriteStream
  readonly #lines: string[] = []
  readonly #followers = new EventEmitter<{ line: [string]; end: [] }>().setMaxListeners(0)
  #added = 0
  /** Number of the line that gives the reason. */
  #reasonAt: number | undefined
  #panic: string | undefined
  #initFailure: string | undefined

  private constructor(path: string, file: WriteStream) {
    this.path = path
    this.#file = file
    // A full disk costs the rest of the file, not the run: the last lines are kept here.
    file.on('error', () => {})
  }

  /** @throws DirectoryUnusableError */
  static async open(path: string): Promise<ConsoleLog> {
    try {
      await mkdir(dirname(path), { recursive: true })
      const file = createWriteStream(path)
      await once(file, 'open')
      return new ConsoleLog(path, file)
    } catch (cause) {
      throw new DirectoryUnusableError({
        what: `cannot write the console's log to ${dirname(path)}`,
        remedy: 'set TESTKERNELS_CACHE_DIR to a directory that this user can write',
        cause,
      })
    }
  }

  add(line: string): void {
    if (!this.#file.writableEnded && !this.#file.destroyed) this.#file.write(`${line}\n`)
    this.#lines.push(line)
    if (this.#lines.length > KEPT_LINES) this.#lines.shift()
    this.#panic ??= PANIC.exec(line)?.[1]
    this.#initFailure ??= INIT_FATAL.exec(line)?.[1]
    if (this.reason !== undefined) this.#reasonAt ??= this.#added
    this.#added++
    this.#followers.emit('line', line)
  }

  /** Calls `listener` at each line until what it returns is disposed. */
  onLine(listener: () => void): Disposable {
    this.#followers.on('line', listener)
    return { [Symbol.dispose]: () => void this.#followers.off('line', listener) }
  }

  /** Every line from the first on, as it comes; ends with the console. Once its log is gone, none. */
  async *follow(): AsyncGenerator<string> {
    const written = this.#added
    const coming = this.#file.writableEnded ? [] : on(this.#followers, 'line', { close: ['end'] })
    if (written > 0) yield* this.#firstLines(written)
    for await (const [line] of coming) yield line
  }

  async *#firstLines(count: number): AsyncGenerator<string> {
    if (!this.#file.writableEnded) await new Promise((resolve) => this.#file.write('', resolve))
    if (!existsSync(this.path)) return
    let left = count
    for await (const line of createInterface({ input: createReadStream(this.path) })) {
      yield line
      if (--left === 0) return
    }
  }

  /** Why the guest stopped, as far as its console says: our init's reason before the kernel's. */
  get reason(): string | undefined {
    if (this.#initFailure !== undefined) return this.#initFailure
    return this.#panic === undefined ? undefined : `kernel panic: ${this.#panic}`
  }

  tail(lines = 30): string {
    return this.#lines.slice(-lines).join('\n')
  }

  /** The lines that explain the end: those around the reason, because a panic prints more than it explains; else the last. */
  get excerpt(): string {
    if (this.#reasonAt === undefined) return this.tail()
    const at = this.#reasonAt - (this.#added - this.#lines.length)
    return this.#lines.slice(Math.max(0, at - LINES_BEFORE_REASON), Math.max(0, at + LINES_AFTER_REASON)).join('\n')
  }

  /** Ends the file; `keep` for a VM that failed. */
  async close(fate: 'keep' | 'remove'): Promise<void> {
    const closed = this.#file.closed || once(this.#file, 'close')
    this.#file.end()
    this.#followers.emit('end')
    await closed
    if (fate === 'remove') await rm(this.path, { force: true })
  }
}

export function consoleDirectory({ cacheDirectory }: Settings): string {
  return join(cacheDirectory, 'consoles')
}

/** Removes the logs of failed VMs that nobody will read any more. */
export async function sweepConsoleLogs(directory: string): Promise<void> {
  await removeOlder(directory, { keptMs: KEPT_MS })
}
