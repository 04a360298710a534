import type { ProgressDisplay, SolveStatus, Write } from './status.ts'

/** Each status as one line of JSON, for programs: the keys, times and base64 of `docker buildx build --progress=rawjson`. */
export class RawJsonDisplay implements ProgressDisplay {
  readonly #write: Write
  #ended = false

  constructor(write: Write) {
    this.#write = write
  }

  update({ vertexes, statuses, logs, warnings }: SolveStatus): void {
    if (this.#ended) return
    const line = {
      vertexes: list(vertexes, ({ digest, inputs, name, cached, startedAtMs, completedAtMs, error }) => ({
        digest,
        inputs: list(inputs, (input) => input),
        name,
        started: toDate(startedAtMs),
        completed: toDate(completedAtMs),
        cached: cached || undefined,
        error,
      })),
      statuses: list(statuses, ({ id, vertex, name, current, total, timestampMs, startedAtMs, completedAtMs }) => ({
        id,
        vertex,
        name: name === '' ? undefined : name,
        current,
        total: total === 0 ? undefined : total,
        timestamp: toDate(timestampMs),
        started: toDate(startedAtMs),
        completed: toDate(completedAtMs),
      })),
      logs: list(logs, ({ vertex, stream, data, timestampMs }) => ({
        vertex,
        stream: stream === 'stderr' ? 2 : 1,
        data: Buffer.from(data).toString('base64'),
        timestamp: toDate(timestampMs),
      })),
      warnings: list(warnings, ({ vertex, short, detail, url }) => ({
        vertex,
        short: Buffer.from(short).toString('base64'),
        detail: list(detail, (text) => Buffer.from(text).toString('base64')),
        url: url === '' ? undefined : url,
      })),
    }
    this.#write(`${JSON.stringify(line)}\n`)
  }

  /** So that each line is JSON; programs that know nothing but statuses find none in it. */
  print(line: string): void {
    this.#write(`${JSON.stringify({ message: line })}\n`)
  }

  end(): void {
    this.#ended = true
  }
}

/** Empty lists are left out. */
function list<T, U>(items: readonly T[], map: (item: T) => U): U[] | undefined {
  return items.length === 0 ? undefined : items.map(map)
}

/** RFC 3339 in UTC, to the microsecond. */
function toDate(ms: number | undefined): string | undefined {
  if (ms === undefined) return undefined
  const micros = Math.round((ms % 1) * 1000)
  return new Date(Math.floor(ms)).toISOString().replace('Z', `${String(Math.min(micros, 999)).padStart(3, '0')}Z`)
}
