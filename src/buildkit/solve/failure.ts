import { type ErrorDetails, TestkernelsError } from '../../errors/index.ts'
import { commandOf, type Definition } from '../llb/index.ts'
import type { SolveStatus, SolveVertex } from '../progress/status.ts'
import { LogTail } from '../progress/text.ts'

export interface StepFailure {
  /** The step that failed, as progress shows it. */
  readonly vertex?: { readonly digest: string; readonly name: string } | undefined
  /** The command it ran, as one line. */
  readonly command?: string | undefined
  readonly exitCode?: number | undefined
  /** The last lines that the step wrote. */
  readonly logTail: readonly string[]
}

/** The engine could not make what the graph describes. */
export class SolveError extends TestkernelsError implements StepFailure {
  readonly code = 'SOLVE_FAILED'
  readonly vertex: StepFailure['vertex']
  readonly command: string | undefined
  readonly exitCode: number | undefined
  readonly logTail: readonly string[]

  constructor({ vertex, command, exitCode, logTail, ...details }: ErrorDetails & StepFailure) {
    super(details)
    this.vertex = vertex
    this.command = command
    this.exitCode = exitCode
    this.logTail = logTail
  }
}

/** The caller's signal aborted. The engine was told, and ended the steps that only this solve waited for. */
export class SolveCancelledError extends TestkernelsError {
  readonly code = 'SOLVE_CANCELLED'
}

/** A directory named for a cache of `type=local` cannot be read or written as one. */
export class CacheDirectoryError extends TestkernelsError {
  readonly code = 'CACHE_DIRECTORY'
}

interface FailedSolve {
  /** The engine's own words; all that it tells of the error. */
  readonly message: string
  readonly trace: SolveTrace
  readonly definition?: Definition | undefined
  /** What failed on our side while we served the session: nearer to the cause than the engine's words. */
  readonly sessionFailure?: Error | undefined
}

export function explainFailure({ message, trace, definition, sessionFailure }: FailedSolve): SolveError {
  const cause = sessionFailure ?? new Error(withoutCommand(message))
  const vertex = trace.culprit(message)
  if (vertex === undefined)
    return new SolveError({ what: 'the engine could not build', cause, remedy: remedyFor(message), logTail: [] })
  const logTail = trace.tailOf(vertex.digest)
  const args = definition === undefined ? undefined : commandOf(definition, vertex.digest)
  const command = args?.join(' ') ?? commandIn(message)
  const exitCode = exitCodeIn(message)
  return new SolveError({
    what: `the step "${shorten(vertex.name, 100)}" failed${exitCode === undefined ? '' : ` with exit code ${exitCode}`}`,
    cause,
    remedy: command === undefined ? remedyFor(message) : `${remedyFor(message)}; it ran: ${shorten(command, 300)}`,
    output: logTail.join('\n'),
    vertex: { digest: vertex.digest, name: vertex.name },
    command,
    exitCode,
    logTail,
  })
}

function exitCodeIn(message: string): number | undefined {
  const code = /exit code: (\d+)/.exec(message)?.[1]
  return code === undefined ? undefined : Number(code)
}

/** Up to BuildKit 0.8 `executor failed running [sh -c x]`; later `process "sh -c x" did not complete`, with Go's quoting. */
function commandIn(message: string): string | undefined {
  const quoted = /process ("(?:[^"\\]|\\.)*") did not complete/s.exec(message)?.[1]
  return quoted === undefined ? /executor failed running \[(.*)\]: /s.exec(message)?.[1] : unquote(quoted)
}

/** What Go quotes is JSON but for rare control characters. */
function unquote(quoted: string): string {
  try {
    return JSON.parse(quoted) as string
  } catch {
    return quoted.slice(1, -1)
  }
}

const remedies: readonly (readonly [RegExp, string])[] = [
  [/no space left on device/, 'free space on the engine: docker builder prune'],
  [
    /pull access denied|authoriz|basic auth|failed to resolve source metadata|failed to do request|no such host|manifest unknown|not found: docker\.io/,
    'check the name of the image, log in to its registry, or load it into the engine beforehand',
  ],
  [/entitlement|is not allowed/, 'name the right that the step needs in `entitlements`'],
  [/exit code: \d+/, 'correct what the output shows'],
]

function remedyFor(message: string): string {
  return remedies.find(([pattern]) => pattern.test(message))?.[1] ?? 'correct what the cause names, and build again'
}

/** The command is told apart, and may be a script of many lines. */
function withoutCommand(message: string): string {
  return message
    .replace(/executor failed running \[.*\]: /s, 'the command failed: ')
    .replace(/process ".*" did not complete/s, 'the command did not complete')
}

/** As one line of no more than so many characters. */
function shorten(text: string, maxLength: number): string {
  const line = text.replaceAll(/\s+/g, ' ').trim()
  return line.length <= maxLength ? line : `${line.slice(0, maxLength - 1)}…`
}

const TAIL_LINES = 30

/** Remembers just enough of a solve to explain its failure. */
export class SolveTrace {
  readonly #failed: SolveVertex[] = []
  readonly #tails = new Map<string, LogTail>()
  #heard = false

  /** Whether the engine told anything at all. */
  get heard(): boolean {
    return this.#heard
  }

  observe({ vertexes, logs }: SolveStatus): void {
    this.#heard = true
    for (const log of logs) {
      const tail = this.#tails.get(log.vertex) ?? new LogTail(TAIL_LINES)
      tail.push(log)
      this.#tails.set(log.vertex, tail)
    }
    for (const vertex of vertexes) {
      if (vertex.error !== undefined) this.#failed.push(vertex)
      else if (vertex.completedAtMs !== undefined) this.#tails.delete(vertex.digest)
    }
  }

  /** The step that the solve failed with `message` because of. Others may have failed only because that one did. */
  culprit(message: string): SolveVertex | undefined {
    return (
      this.#failed.find(({ error }) => error !== undefined && message.includes(error)) ??
      this.#failed.find(({ error }) => error !== undefined && !error.includes('context canceled'))
    )
  }

  tailOf(digest: string): string[] {
    return this.#tails.get(digest)?.lines ?? []
  }
}
