import { EventEmitter, once } from 'node:events'
import { createReadStream, createWriteStream, existsSync, type WriteStream } from 'node:fs'
import { chmod, mkdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { visible } from '../../errors/index.ts'
import { DirectoryUnusableError, removeOlder } from '../../files/index.ts'
import { readLines } from '../../log/index.ts'
import type { Settings } from '../../options/index.ts'

const KEPT_LINES = 200
const LINES_BEFORE_REASON = 20
const LINES_AFTER_REASON = 10
const PANIC = /Kernel panic - not syncing: (.*)/
const INIT_FATAL = /testkernels: init: (.*)/
/** Of a line in an error message, in characters. */
const EXCERPT_CHARACTERS = 1_000
/** What a follower has not taken yet, in lines; a guest that says more than is taken costs him the oldest of them. */
const WAITING_LINES = 10_000
/** The consoles of VMs that failed are kept for this long. */
const KEPT_MS = 7 * 24 * 3_600_000

export interface ConsoleLimits {
  /** Of the file; a guest that says more is not heard in it. @default 64 MiB */
  readonly fileBytes?: number
  /** What may wait in memory for a disk that is slower than the guest. @default 4 MiB */
  readonly waitingBytes?: number
}

const LIMITS: Required<ConsoleLimits> = { fileBytes: 64 * 1024 ** 2, waitingBytes: 4 * 1024 ** 2 }

/**
 * The guest's console: a file for people, with exactly what the guest said, which is why nobody else may read it; and the last lines
 * for error messages. Neither is longer than its limit, whatever the guest says.
 */
export class ConsoleLog {
  readonly path: string
  readonly #file: WriteStream
  readonly #limits: Required<ConsoleLimits>
  readonly #lines: string[] = []
  readonly #followers = new EventEmitter<{ line: [string]; end: [] }>().setMaxListeners(0)
  #added = 0
  #fileBytes = 0
  /** Lines that the disk was too slow for, since the last that was written. */
  #missed = 0
  /** Number of the line that gives the reason. */
  #reasonAt: number | undefined
  #panic: string | undefined
  #initFailure: string | undefined

  private constructor(path: string, file: WriteStream, limits: ConsoleLimits) {
    this.path = path
    this.#file = file
    this.#limits = { ...LIMITS, ...limits }
    // A full disk costs the rest of the file, not the run: the last lines are kept here.
    file.on('error', () => {})
  }

  /** @throws DirectoryUnusableError */
  static async open(path: string, limits: ConsoleLimits = {}): Promise<ConsoleLog> {
    try {
      const directory = dirname(path)
      await mkdir(directory, { recursive: true, mode: 0o700 })
      // It may be older than its mode.
      await chmod(directory, 0o700)
      const file = createWriteStream(path, { mode: 0o600 })
      await once(file, 'open')
      return new ConsoleLog(path, file, limits)
    } catch (cause) {
      throw new DirectoryUnusableError({
        what: `cannot write the console's log to ${dirname(path)}`,
        remedy: 'set TESTKERNELS_CACHE_DIR to a directory that this user can write',
        cause,
      })
    }
  }

  add(line: string): void {
    this.#record(line)
    this.#lines.push(line)
    if (this.#lines.length > KEPT_LINES) this.#lines.shift()
    this.#panic ??= PANIC.exec(line)?.[1]?.slice(0, EXCERPT_CHARACTERS)
    this.#initFailure ??= INIT_FATAL.exec(line)?.[1]?.slice(0, EXCERPT_CHARACTERS)
    if (this.reason !== undefined) this.#reasonAt ??= this.#added
    this.#added++
    this.#followers.emit('line', line)
  }

  #record(line: string): void {
    const { fileBytes, waitingBytes } = this.#limits
    if (this.#file.writableEnded || this.#file.destroyed || this.#fileBytes >= fileBytes) return
    if (this.#file.writableLength > waitingBytes) {
      this.#missed++
      return
    }
    if (this.#missed > 0)
      this.#write(`[testkernels: ${this.#missed} lines are missing: the disk was slower than the guest]`)
    this.#missed = 0
    this.#write(line)
    if (this.#fileBytes >= fileBytes)
      this.#write(`[testkernels: the rest is missing: the guest has said more than ${fileBytes} bytes]`)
  }

  #write(line: string): void {
    this.#fileBytes += Buffer.byteLength(line) + 1
    this.#file.write(`${line}\n`)
  }

  /** Calls `listener` at each line until what it returns is disposed. */
  onLine(listener: () => void): Disposable {
    this.#followers.on('line', listener)
    return { [Symbol.dispose]: () => void this.#followers.off('line', listener) }
  }

  /**
   * Every line from the first on, as it comes, as text that does nothing to a terminal; ends with the console. Once its log is gone,
   * none.
   */
  async *follow(): AsyncGenerator<string> {
    const written = this.#added
    using coming = this.#file.writableEnded ? undefined : new Waiting(this.#followers)
    if (written > 0) yield* this.#firstLines(written)
    if (coming !== undefined) for await (const line of coming.lines()) yield visible(line)
  }

  async *#firstLines(count: number): AsyncGenerator<string> {
    if (!this.#file.writableEnded) await new Promise((resolve) => this.#file.write('', resolve))
    if (!existsSync(this.path)) return
    let left = count
    for await (const line of readLines(createReadStream(this.path))) {
      yield visible(line)
      if (--left === 0) return
    }
  }

  /** Why the guest stopped, as far as its console says: our init's reason before the kernel's. */
  get reason(): string | undefined {
    if (this.#initFailure !== undefined) return this.#initFailure
    return this.#panic === undefined ? undefined : `kernel panic: ${this.#panic}`
  }

  tail(lines = 30): string {
    return shown(this.#lines.slice(-lines))
  }

  /** The lines that explain the end: those around the reason, because a panic prints more than it explains; else the last. */
  get excerpt(): string {
    if (this.#reasonAt === undefined) return this.tail()
    const at = this.#reasonAt - (this.#added - this.#lines.length)
    return shown(this.#lines.slice(Math.max(0, at - LINES_BEFORE_REASON), Math.max(0, at + LINES_AFTER_REASON)))
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

function shown(lines: readonly string[]): string {
  return lines.map((line) => line.slice(0, EXCERPT_CHARACTERS)).join('\n')
}

/** Lines that one follower has not taken yet. */
class Waiting implements Disposable {
  readonly #source: EventEmitter<{ line: [string]; end: [] }>
  #lines: string[] = []
  #missed = 0
  #hasEnded = false
  #wake: () => void = () => {}

  constructor(source: EventEmitter<{ line: [string]; end: [] }>) {
    this.#source = source
    source.on('line', this.#add)
    source.on('end', this.#end)
  }

  async *lines(): AsyncGenerator<string> {
    for (;;) {
      const [taken, missed] = [this.#lines, this.#missed]
      this.#lines = []
      this.#missed = 0
      if (missed > 0) yield `[testkernels: ${missed} lines are missing: nobody took them]`
      yield* taken
      if (this.#lines.length > 0) continue
      if (this.#hasEnded) return
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  [Symbol.dispose](): void {
    this.#source.off('line', this.#add)
    this.#source.off('end', this.#end)
  }

  readonly #add = (line: string): void => {
    this.#lines.push(line)
    if (this.#lines.length > WAITING_LINES) {
      this.#lines = this.#lines.slice(WAITING_LINES / 2)
      this.#missed += WAITING_LINES / 2
    }
    this.#wake()
  }

  readonly #end = (): void => {
    this.#hasEnded = true
    this.#wake()
  }
}

export function consoleDirectory({ cacheDirectory }: Settings): string {
  return join(cacheDirectory, 'consoles')
}

/** Removes the logs of failed VMs that nobody will read any more. */
export async function sweepConsoleLogs(directory: string): Promise<void> {
  await removeOlder(directory, { keptMs: KEPT_MS })
}
