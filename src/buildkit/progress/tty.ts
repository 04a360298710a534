import { stripVTControlCharacters } from 'node:util'
import type { ProgressDisplay, SolveStatus } from './status.ts'
import { type Step, StepModel } from './step.ts'
import { LogTail } from './text.ts'
import { control, renderFrame, type Terminal } from './tty-frame.ts'

export interface TtyOptions {
  /** @default 'on' */
  readonly colors?: 'on' | 'off'
}

const FRAME_EVERY_MS = 100
const TAIL_LINES = 6

/** A live picture of all steps, like that of `docker buildx build`: redrawn in place until the end. */
export class TtyDisplay implements ProgressDisplay {
  readonly #terminal: Terminal
  readonly #colors: 'on' | 'off'
  readonly #model = new StepModel()
  readonly #tails = new Map<string, LogTail>()
  /** When running steps were first seen to run, by our clock: the engine's may differ. */
  readonly #seenRunning = new Map<string, number>()
  #startedAt = 0
  #timer: NodeJS.Timeout | undefined
  #drawn: readonly string[] = []
  #ended = false

  constructor(terminal: Terminal, { colors = 'on' }: TtyOptions = {}) {
    this.#terminal = terminal
    this.#colors = colors
  }

  update(status: SolveStatus): void {
    if (this.#ended) return
    if (this.#timer === undefined) this.#begin()
    for (const step of this.#model.apply(status)) this.#advance(step)
    for (const log of status.logs) {
      const tail = this.#tails.get(log.vertex) ?? new LogTail(TAIL_LINES)
      tail.push(log)
      this.#tails.set(log.vertex, tail)
    }
  }

  /** Above the picture, which moves down. */
  print(line: string): void {
    const { rows } = this.#size()
    this.#terminal.write(`${control.up(Math.min(this.#drawn.length, rows - 1))}${control.clearBelow}${line}\n`)
    this.#drawn = []
    if (this.#timer !== undefined && !this.#ended) this.#draw({ isLast: false })
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    if (this.#timer === undefined) return
    clearInterval(this.#timer)
    this.#terminal.off('resize', this.#onResize)
    this.#draw({ isLast: true })
    this.#drawn = []
    this.#terminal.write(control.showCursor)
  }

  #begin(): void {
    this.#startedAt = performance.now()
    this.#timer = setInterval(() => this.#draw({ isLast: false }), FRAME_EVERY_MS).unref()
    this.#terminal.on('resize', this.#onResize)
    this.#terminal.write(control.hideCursor)
  }

  #advance(step: Step): void {
    if (step.state !== 'running') {
      this.#seenRunning.delete(step.digest)
      this.#tails.delete(step.digest)
    } else if (!this.#seenRunning.has(step.digest)) this.#seenRunning.set(step.digest, performance.now())
  }

  #draw({ isLast }: { isLast: boolean }): void {
    const { columns, rows } = this.#size()
    const now = performance.now()
    const scene = {
      steps: this.#model.started,
      total: this.#model.size,
      elapsedMs: now - this.#startedAt,
      runningMs: ({ digest }: Step) => now - (this.#seenRunning.get(digest) ?? now),
      tailOf: ({ digest }: Step) => this.#tails.get(digest)?.lines ?? [],
    }
    const frame = renderFrame(scene, { columns, rows, colors: this.#colors, isLast })
    const lines = frame.map((line) => `${control.clearLine}${line}\n`)
    // One write a frame, or the terminal shows half of it.
    this.#terminal.write(
      `${control.wrapOff}${control.up(this.#drawn.length)}${lines.join('')}${control.clearBelow}${control.wrapOn}`,
    )
    this.#drawn = frame
  }

  /** Terminals flow lines that have become too long into more rows: all of those are taken away. */
  readonly #onResize = (): void => {
    const { columns, rows } = this.#size()
    const heights = this.#drawn.map((line) =>
      Math.max(1, Math.ceil([...stripVTControlCharacters(line)].length / columns)),
    )
    const height = heights.reduce((sum, rowsOfLine) => sum + rowsOfLine, 0)
    this.#terminal.write(`${control.up(Math.min(height, rows - 1))}${control.clearBelow}`)
    this.#drawn = []
    this.#draw({ isLast: false })
  }

  #size(): { columns: number; rows: number } {
    const { columns = 80, rows = 24 } = this.#terminal
    // A terminal that does not know its size says 0.
    return { columns: columns > 0 ? columns : 80, rows: rows > 0 ? rows : 24 }
  }
}
