import type { Step } from './step.ts'
import { cut, formatAmount, formatSeconds, printable, spread } from './text.ts'

/** A terminal to draw on; `process.stderr` is one. */
export interface Terminal {
  write(text: string): unknown
  /** @default 80 */
  readonly columns?: number
  /** @default 24 */
  readonly rows?: number
  on(event: 'resize', listener: () => void): unknown
  off(event: 'resize', listener: () => void): unknown
}

const ESC = '\u001b['

export const control = {
  hideCursor: `${ESC}?25l`,
  showCursor: `${ESC}?25h`,
  /** Cuts off what does not fit, instead of going on in the next row. */
  wrapOff: `${ESC}?7l`,
  wrapOn: `${ESC}?7h`,
  clearLine: `${ESC}2K`,
  clearBelow: `${ESC}J`,
  up: (rows: number) => (rows === 0 ? '\r' : `\r${ESC}${rows}A`),
}

type Color = 'blue' | 'red' | 'yellow' | 'faint'

const codes = { blue: 34, red: 31, yellow: 33, faint: 2 } as const

export function paint(color: Color, text: string): string {
  return `${ESC}${codes[color]}m${text}${ESC}0m`
}

/** What one frame shows. */
export interface Scene {
  /** Those that started, in that order. */
  readonly steps: readonly Step[]
  /** How many are known of, those that wait included. */
  readonly total: number
  readonly elapsedMs: number
  /** How long a running step has run. */
  runningMs(step: Step): number
  /** The last lines a running step wrote. */
  tailOf(step: Step): readonly string[]
}

export interface FrameOptions {
  readonly columns: number
  readonly rows: number
  readonly colors: 'on' | 'off'
  /** The last frame has every step in one line, however many rows that takes. */
  readonly isLast: boolean
}

/** Most lines below a running step. */
const MAX_DETAILS = 6

/** The lines of one frame, the header first. They fit the terminal, unless it is the last frame. */
export function renderFrame(scene: Scene, options: FrameOptions): string[] {
  const { steps } = scene
  const running = steps.filter(({ state }) => state === 'running')
  const ended = steps.length - running.length
  const state = options.isLast && running.length === 0 ? ' FINISHED' : ''
  const header = `[+] Building ${formatSeconds(scene.elapsedMs)} (${ended}/${scene.total})${state}`
  if (options.isLast) return [cut(header, options.columns), ...steps.map((step) => stepLine(step, scene, options))]

  // The cursor stands in the row below the last line.
  const room = Math.max(1, options.rows - 2)
  const shownRunning = new Set(running.slice(-room))
  const details = detailsOf([...shownRunning], scene, room - shownRunning.size)
  const taken = shownRunning.size + [...details.values()].reduce((sum, { length }) => sum + length, 0)
  const shownEnded = new Set(
    last(
      steps.filter((step) => step.state !== 'running'),
      room - taken,
    ),
  )
  const lines = steps
    .filter((step) => shownRunning.has(step) || shownEnded.has(step))
    .flatMap((step) => [
      stepLine(step, scene, options),
      ...(details.get(step) ?? []).map((line) => colored('faint', cut(line, options.columns), options)),
    ])
  return [cut(header, options.columns), ...lines]
}

/** Lines below the running steps: each gets its share of at most two thirds of the room. */
function detailsOf(running: readonly Step[], scene: Scene, room: number): Map<Step, string[]> {
  const share = Math.min(MAX_DETAILS, Math.floor((room * 2) / 3 / Math.max(1, running.length)))
  return new Map(
    running.map((step) => {
      const open = [...step.statuses.values()].filter(({ completedAtMs }) => completedAtMs === undefined)
      const statuses = last(open, share).map((status) =>
        ` => => ${printable(status.id)} ${formatAmount(status)}`.trimEnd(),
      )
      const tail = last(scene.tailOf(step), share - statuses.length).map((line) => ` => => # ${printable(line)}`)
      return [step, [...statuses, ...tail]]
    }),
  )
}

function stepLine(step: Step, scene: Scene, options: FrameOptions): string {
  const time = step.state === 'running' ? step.ranMs + scene.runningMs(step) : step.ranMs
  const text = spread(` => ${prefixes[step.state]}${printable(step.name)}`, formatSeconds(time), options.columns)
  const color = stateColors[step.state]
  return color === undefined ? text : colored(color, text, options)
}

const prefixes = {
  waiting: '',
  running: '',
  cached: 'CACHED ',
  done: '',
  failed: 'ERROR ',
  cancelled: 'CANCELED ',
} as const
const stateColors: Partial<Record<Step['state'], Color>> = {
  cached: 'blue',
  done: 'blue',
  failed: 'red',
  cancelled: 'yellow',
}

function colored(color: Color, text: string, { colors }: FrameOptions): string {
  return colors === 'on' ? paint(color, text) : text
}

function last<T>(items: readonly T[], count: number): readonly T[] {
  return count <= 0 ? [] : items.slice(-count)
}
