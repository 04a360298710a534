import { LineMux } from './mux.ts'
import type { ProgressDisplay, SolveStatus, VertexLog, VertexStatus, VertexWarning, Write } from './status.ts'
import { type Step, StepModel } from './step.ts'
import { formatAmount, formatSeconds, TerminalLines } from './text.ts'

/** Between two lines about one growing number. */
const STATUS_EVERY_MS = 5_000

/** Lines that only ever grow, for logs and pipes: like `docker buildx build --progress=plain`. */
export class PlainDisplay implements ProgressDisplay {
  readonly #model = new StepModel()
  readonly #write: Write
  readonly #mux: LineMux
  readonly #logs = new Map<string, TerminalLines>()
  readonly #reported = new Map<string, number>()
  #ended = false

  constructor(write: Write) {
    this.#write = write
    this.#mux = new LineMux(write)
  }

  update(status: SolveStatus): void {
    if (this.#ended) return
    const advanced = this.#model.apply(status)
    for (const one of status.statuses) this.#status(one)
    for (const log of status.logs) this.#log(log)
    for (const warning of status.warnings) this.#warning(warning)
    for (const step of advanced) this.#state(step)
    this.#mux.flush()
  }

  print(line: string): void {
    this.#write(`${line}\n`)
  }

  end(): void {
    this.#ended = true
    this.#mux.end()
  }

  #state(step: Step): void {
    if (step.state === 'running') {
      this.#mux.open(step)
      return
    }
    for (const key of logKeys(step.digest)) {
      const rest = this.#logs.get(key)?.rest ?? ''
      if (rest !== '') this.#mux.line(step, rest)
      this.#logs.delete(key)
    }
    this.#mux.close(step, lastLine(step))
  }

  #log({ vertex, stream, data, timestampMs }: VertexLog): void {
    const step = this.#model.get(vertex)
    if (step === undefined) return
    const key = logKey(vertex, stream)
    const splitter = this.#logs.get(key) ?? new TerminalLines()
    this.#logs.set(key, splitter)
    const since = (timestampMs ?? 0) - (step.startedAtMs ?? timestampMs ?? 0)
    const clock = (Math.max(0, since) / 1000).toFixed(3).slice(0, 5)
    for (const line of splitter.push(data)) this.#mux.line(step, `${clock} ${line}`)
  }

  #status(status: VertexStatus): void {
    const step = this.#model.get(status.vertex)
    if (step === undefined) return
    const { id, completedAtMs, startedAtMs, timestampMs = 0 } = status
    const key = `${status.vertex} ${id}`
    const last = this.#reported.get(key)
    if (last !== undefined && completedAtMs === undefined && timestampMs - last < STATUS_EVERY_MS) return
    if (last === Number.POSITIVE_INFINITY) return
    this.#reported.set(key, completedAtMs === undefined ? timestampMs : Number.POSITIVE_INFINITY)
    const parts = [id, formatAmount(status)]
    if (completedAtMs !== undefined) parts.push(formatSeconds(completedAtMs - (startedAtMs ?? completedAtMs)), 'done')
    this.#mux.line(step, parts.filter((part) => part !== '').join(' '))
  }

  #warning({ vertex, short }: VertexWarning): void {
    const step = this.#model.get(vertex)
    if (step !== undefined) this.#mux.line(step, `WARN: ${short}`)
  }
}

/** The two streams of a step come in chunks of their own: a line is never made of both. */
function logKey(digest: string, stream: VertexLog['stream']): string {
  return `${digest} ${stream}`
}

function logKeys(digest: string): string[] {
  return [logKey(digest, 'stdout'), logKey(digest, 'stderr')]
}

function lastLine(step: Step): string {
  switch (step.state) {
    case 'cached':
      return 'CACHED'
    case 'cancelled':
      return 'CANCELED'
    case 'failed':
      return `ERROR: ${step.error}`
    default:
      return `DONE ${formatSeconds(step.ranMs)}`
  }
}
